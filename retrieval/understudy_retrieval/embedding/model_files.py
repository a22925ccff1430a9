"""Where the files of the embedding model that comes along lie. Cheap to import."""

from collections.abc import Sequence
from pathlib import Path

MODEL = "model.onnx"
TOKENIZER = "tokenizer.json"
PACKAGE_FOLDER = Path(__file__).parent.parent / "data" / "minilm"


def model_folders() -> list[Path]:
    """Where the model may lie: in the package, as a wheel carries it, or in the user's cache."""
    from platformdirs import user_cache_path

    return [PACKAGE_FOLDER, user_cache_path("understudy") / "minilm"]


def find_model(folders: Sequence[Path] | None = None) -> Path | None:
    """The first folder that has the model, if one does."""
    for folder in model_folders() if folders is None else folders:
        if (folder / MODEL).is_file() and (folder / TOKENIZER).is_file():
            return folder
    return None
