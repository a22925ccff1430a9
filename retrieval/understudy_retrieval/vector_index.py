"""Chroma as an index of the vectors of large stores. It can be thrown away: all of it comes from the chunk store.

What was seen of Chroma 1.5.9 and is worked around here: a crash while it writes its graph leaves a collection that
answers nothing any more; deleting a collection leaves its folder; it keeps as many collections open as the process's
limit of open files allows, 2.6 MB each; `add` holds the interpreter's lock, 1.5 ms a vector.
"""

import contextlib
import logging
import shutil
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from understudy_retrieval.chunk_rows import Store

if TYPE_CHECKING:
    from chromadb.api import ClientAPI

log = logging.getLogger("understudy_retrieval")
_OPEN_COLLECTIONS = 32
BATCH = 100
"""Windows at a time: another question must not wait long."""


class Index(Protocol):
    """What the rest of the package asks of an index; see VectorIndex."""

    @property
    def remote(self) -> bool: ...  # noqa: D102
    @property
    def used(self) -> bool: ...  # noqa: D102
    def add(self, store: Store, member: int, first: int, vectors: NDArray[np.float32]) -> None: ...  # noqa: D102
    def remove(self, store: Store, member: int, first: int, end: int) -> None: ...  # noqa: D102
    def query(self, store: Store, vector: NDArray[np.float32], most: int) -> list[tuple[int, int, float]]: ...  # noqa: D102
    def count(self, store: Store) -> int: ...  # noqa: D102
    def drop(self, name: str) -> None: ...  # noqa: D102
    def names(self) -> list[str]: ...  # noqa: D102
    def erase(self) -> None: ...  # noqa: D102
    def close(self) -> None: ...  # noqa: D102


class VectorIndex:
    """One collection a store, in a folder or on a Chroma server. Methods block; any may raise what Chroma raises."""

    def __init__(self, folder: Path, url: str | None) -> None:
        self._folder = folder
        self._url = url
        self._lock = threading.Lock()
        self._opened: ClientAPI | None = None
        self._collections: dict[str, Any] = {}

    @property
    def remote(self) -> bool:
        """Whether it is a server's."""
        return self._url is not None

    @property
    def used(self) -> bool:
        """Whether there may be anything in it; Chroma is not imported for this."""
        return self.remote or self._folder.exists()

    def add(self, store: Store, member: int, first: int, vectors: NDArray[np.float32]) -> None:
        """Put in a member's windows from `first` on, at most BATCH, or again: nothing is doubled."""
        ids = [f"{member}.{number}" for number in range(first, first + len(vectors))]
        self._collection(store).upsert(ids=ids, embeddings=vectors)

    def remove(self, store: Store, member: int, first: int, end: int) -> None:
        """Take a member's windows from `first` to `end` out, at most BATCH."""
        self._collection(store).delete(ids=[f"{member}.{number}" for number in range(first, end)])

    def query(self, store: Store, vector: NDArray[np.float32], most: int) -> list[tuple[int, int, float]]:
        """The nearest windows: member, number of the window in its document, cosine."""
        found = self._collection(store).query(query_embeddings=vector[None, :], n_results=most, include=["distances"])
        pairs = zip(found["ids"][0], found["distances"][0], strict=True)
        return [(*map(int, one.split(".")), 1 - float(distance)) for one, distance in pairs]  # type: ignore[misc]

    def count(self, store: Store) -> int:
        """How many windows it holds of a store, having loaded them."""
        collection = self._collection(store)
        count: int = collection.count()
        if count:
            vector = collection.peek(1)["embeddings"][0]
            collection.query(query_embeddings=[vector], n_results=1, include=["distances"])
        return count

    def drop(self, name: str) -> None:
        """Delete a collection, its memory and its files; one that is not there is no error."""
        import chromadb.errors

        self._collections.pop(name, None)
        client = self._client()
        segments = [] if self.remote else self._segments(name)
        with contextlib.suppress(chromadb.errors.NotFoundError):
            client.delete_collection(name)
        for segment in segments:
            shutil.rmtree(self._folder / segment, ignore_errors=True)

    def names(self) -> list[str]:
        """The collections that are there."""
        names: list[str] = []
        while page := self._client().list_collections(limit=100, offset=len(names)):
            names += [collection.name for collection in page]
        return names

    def erase(self) -> None:
        """Throw a folder away that Chroma cannot open."""
        self.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def close(self) -> None:
        """Give back what Chroma holds."""
        if self._opened is None:
            return
        self._collections.clear()
        clients: tuple[Any, Any] = (self._opened, self._opened._admin_client)  # type: ignore[attr-defined]
        for client in clients:
            if session := getattr(client._server, "_session", None):
                session.close()  # which Chroma's own `close` leaves open
        self._opened.close()  # type: ignore[attr-defined]
        self._opened = None

    def _collection(self, store: Store) -> Any:
        name = name_of(store.number, store.id)
        if name not in self._collections:
            self._collections[name] = self._client().get_or_create_collection(
                name, embedding_function=None, configuration={"hnsw": {"space": "cosine"}}
            )
        return self._collections[name]

    def _segments(self, name: str) -> list[str]:
        import sqlite3

        query = (
            "SELECT s.id FROM segments s JOIN collections c ON c.id = s.collection WHERE c.name = ? "
            "AND s.scope = 'VECTOR'"
        )
        with contextlib.closing(sqlite3.connect(self._folder / "chroma.sqlite3", timeout=30)) as connection:
            return [segment for (segment,) in connection.execute(query, (name,))]

    def _client(self) -> "ClientAPI":
        with self._lock:
            if self._opened is None:
                self._opened = self._open()
            return self._opened

    def _open(self) -> "ClientAPI":
        import chromadb
        from chromadb.api.shared_system_client import SharedSystemClient
        from chromadb.config import Settings

        settings = Settings(anonymized_telemetry=False)
        if self._url is not None:
            url = urlsplit(self._url)
            secure = url.scheme == "https"
            return chromadb.HttpClient(
                host=url.hostname or "", port=url.port or (443 if secure else 80), ssl=secure, settings=settings
            )
        try:
            client = chromadb.PersistentClient(str(self._folder), settings=settings)
        except BaseException:
            # What could not be started is kept, and given out at the next try.
            SharedSystemClient._identifier_to_system.pop(str(self._folder), None)
            raise
        # Chroma takes a fifth of the process's limit of open files, and offers no setting for it.
        server: Any = client._server  # type: ignore[attr-defined]
        server.stop()
        server.hnsw_cache_size = _OPEN_COLLECTIONS
        server.start()
        return client


def name_of(number: int, store_id: str) -> str:
    """The name of a store's collection. On a server that several databases share the id tells them apart."""
    return f"{store_id}.{number}"
