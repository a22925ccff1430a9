"""The data folder's part for file search, opened when it is first needed: numpy and the like cost 16 MB and 0.2 s."""

import importlib.util
import logging
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
from anyio import to_thread

from understudy.cassettes.deck import Deck
from understudy.settings import Settings
from understudy.supervisor import Supervisor
from understudy_retrieval.embedding.model_files import find_model

if TYPE_CHECKING:
    from understudy_retrieval import Retrieval
    from understudy_retrieval.embedding.base import Embedder

log = logging.getLogger("understudy")
_NO_MODEL = "the embedding model is not there: words alone decide what is found. To make it: understudy model build"
_NO_PACKAGE = (
    "sentence-transformers is not installed: install PyTorch, then pip install 'understudy[sentence-transformers]'"
)


def hint(settings: Settings) -> str | None:
    """What is wrong with the embedding model that the settings name, and what mends it."""
    kind = settings.embedder.partition(":")[0]
    if kind == "minilm" and find_model() is None:
        return _NO_MODEL
    if kind == "sentence-transformers" and importlib.util.find_spec("sentence_transformers") is None:
        return _NO_PACKAGE
    return None


def make_embedder(settings: Settings, deck: Deck | None = None) -> "Embedder | None":
    """The embedding model that the settings name, None where words alone decide. Nothing is loaded yet."""
    kind, _, name = settings.embedder.partition(":")
    if kind == "sentence-transformers":
        return _sentence_transformers(name)
    if kind == "upstream":
        from understudy.embeddings_upstream import UpstreamEmbedder

        return UpstreamEmbedder(settings.upstream, settings.upstream_key, name, deck)
    if kind == "minilm" and (folder := find_model()):
        return _minilm(folder)
    return None


# Once a process: in test mode there are as many folders as namespaces.
@cache
def _minilm(folder: Path) -> "Embedder":
    from understudy_retrieval.embedding.minilm import MinilmEmbedder

    return MinilmEmbedder(folder)


@cache
def _sentence_transformers(name: str) -> "Embedder":
    from understudy_retrieval.embedding.sentence_transformers import SentenceTransformerEmbedder

    return SentenceTransformerEmbedder(name)


class RetrievalFolder:
    """Where retrieval keeps what it knows. Which model embeds is decided once, at the start."""

    def __init__(self, settings: Settings, supervisor: Supervisor, deck: Deck | None = None) -> None:
        self._settings = settings
        self._deck = deck
        self._supervisor = supervisor
        self._root = settings.data_dir / "retrieval"
        self._opening = anyio.Lock()
        self._retrieval: Retrieval | None = None
        self.hint = hint(settings)
        self.embedder = None if settings.embedder == "none" or self.hint == _NO_MODEL else settings.embedder
        """The model's name, None where words alone decide."""

    @property
    def exists(self) -> bool:
        """Whether there was ever something in it."""
        return self._retrieval is not None or (self._root / "retrieval.db").exists()

    async def open(self) -> "Retrieval":
        """What is in it, opened. Raises FolderLockedError."""
        if self._retrieval is None:
            async with self._opening:
                if self._retrieval is None:
                    retrieval = await to_thread.run_sync(self._open)
                    self._supervisor.start("vector indexes", retrieval.maintain)
                    self._retrieval = retrieval
        return self._retrieval

    def _open(self) -> "Retrieval":
        from understudy_retrieval import Retrieval

        embedder = make_embedder(self._settings, self._deck)
        retrieval = Retrieval(self._root, embedder, chroma_url=self._settings.chroma_url)
        retrieval.open()
        return retrieval

    async def aclose(self) -> None:
        """Give it back."""
        if self._retrieval is None:
            return
        await self._retrieval.aclose()
        if close := getattr(self._retrieval.embedder, "close", None):
            close()
