"""`understudy reindex`: embed with the present model what another one has embedded."""

from typing import TYPE_CHECKING

import anyio

from understudy.retrieval_folder import hint, make_embedder
from understudy.settings import Settings, StartError

if TYPE_CHECKING:
    from understudy_retrieval import Retrieval


def reindex(settings: Settings) -> None:
    """Embed every vector store again that another model has embedded. Raises StartError."""
    from understudy_retrieval import Retrieval, RetrievalError

    root = settings.data_dir / "retrieval"
    if not (root / "retrieval.db").exists():
        print(f"{root} holds no vector stores: nothing to do.")
        return
    if reason := hint(settings):
        raise StartError(f"{reason}; to do without on purpose: --embedder none")
    retrieval = Retrieval(root, make_embedder(settings), chroma_url=settings.chroma_url)
    try:
        anyio.run(_reindex, retrieval)
    except RetrievalError as error:
        raise StartError(f"{error} (what is done stays done: run it again)") from error


async def _reindex(retrieval: "Retrieval") -> None:
    retrieval.open()
    name = retrieval.embedder.name if retrieval.embedder else "no model: words alone"
    try:
        done = 0
        async for store_id in retrieval.reindex():
            print(f"{store_id} is embedded by {name}", flush=True)
            done += 1
        print(f"{done} vector stores changed over, all others were embedded by {name} already.")
    finally:
        await retrieval.aclose()
