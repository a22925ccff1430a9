"""`understudy model build`: the embedding model's file, made once and offline ever after."""

from understudy.settings import StartError
from understudy_retrieval.errors import EmbeddingError


def build(*, force: bool) -> None:
    """Build it where none is. Raises StartError."""
    from understudy_retrieval.embedding.model_build import build_model, target_folder
    from understudy_retrieval.embedding.model_files import find_model

    if not force and (folder := find_model()):
        print(f"The model is there, in {folder}. --force builds it again.")
        return
    folder = target_folder()
    print("Downloading 83 MB of weights and building the model...", flush=True)
    try:
        build_model(folder)
    except EmbeddingError as error:
        raise StartError(str(error)) from error
    print(f"The model is built, in {folder}.")
