"""File search without HTTP: documents are parsed, chunked, embedded, indexed and searched, in one folder."""

from typing import TYPE_CHECKING, Any

from understudy_retrieval.errors import (
    EmbedderMismatchError,
    EmbeddingError,
    EmbeddingRefusedError,
    FileRefusedError,
    FolderLockedError,
    RetrievalError,
)
from understudy_retrieval.records import Hit, Ingested, Member, Ranking

if TYPE_CHECKING:
    from understudy_retrieval.retrieval import Retrieval

__all__ = [
    "EmbedderMismatchError",
    "EmbeddingError",
    "EmbeddingRefusedError",
    "FileRefusedError",
    "FolderLockedError",
    "Hit",
    "Ingested",
    "Member",
    "Ranking",
    "Retrieval",
    "RetrievalError",
]


def __getattr__(name: str) -> Any:
    # Imported when first asked for: the rest of the package needs numpy, what names its errors does not.
    if name == "Retrieval":
        from understudy_retrieval.retrieval import Retrieval

        return Retrieval
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
