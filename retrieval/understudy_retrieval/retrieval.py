"""Files in, passages out: the package's one entrance. One process uses a folder; all work happens in worker threads."""

import heapq
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, TypeVar

import anyio
import numpy as np
from anyio import CapacityLimiter, to_thread
from numpy.typing import NDArray

from understudy_retrieval.chunk_rows import Document, MemberRow, Store, find_store
from understudy_retrieval.chunk_store import ChunkStore
from understudy_retrieval.chunking import MAX_TOKENS, WINDOW, Chunking, window_count
from understudy_retrieval.embedding.base import Embedder
from understudy_retrieval.errors import EmbedderMismatchError, FileRefusedError, FolderLockedError, StoreRemovedError
from understudy_retrieval.index_keeper import IndexKeeper
from understudy_retrieval.index_process import IndexProcess
from understudy_retrieval.parsing import parse
from understudy_retrieval.records import Hit, Ingested, Member, Ranking
from understudy_retrieval.search import Candidate, Query, chosen, rank
from understudy_retrieval.store_view import ViewCache
from understudy_retrieval.tokens import tokenize
from understudy_retrieval.vector_index import Index, VectorIndex, name_of

log = logging.getLogger("understudy_retrieval")
T = TypeVar("T")
_SEGMENT = 128  # windows that are embedded and kept at a time: what a crash can cost
_FUSED = Ranking()


@dataclass(frozen=True, slots=True)
class _Options:
    limit: int
    members: set[int] | None
    ranking: Ranking
    distinct: bool


class Retrieval:
    """Documents, chunks and their indexes in one folder."""

    def __init__(self, root: Path, embedder: Embedder | None, *, chroma_url: str | None = None) -> None:
        self.embedder = embedder
        self._root = root
        self._chroma_url = chroma_url
        self._ingest_limiter = CapacityLimiter(2)
        self._search_limiter = CapacityLimiter(4)
        self._views = ViewCache()
        self._lock: Any = None

    def open(self) -> None:
        """Take the folder. Raises FolderLockedError where another process has it."""
        self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._take_lock()
        self._store = ChunkStore(self._root / "retrieval.db")
        chroma = self._root / "chroma"
        self._index: Index = VectorIndex(chroma, self._chroma_url) if self._chroma_url else IndexProcess(chroma)
        self._keeper = IndexKeeper(self._store, self._index)

    def _take_lock(self) -> None:
        try:
            import fcntl
        except ImportError:  # Windows: the server's own lock has to do
            return
        self._lock = (self._root / "lock").open("a+")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.close()
            raise FolderLockedError(
                f"another process uses {self._root}: two would lose each other's vectors; stop it first"
            ) from error

    async def aclose(self) -> None:
        """Give the folder back."""
        await to_thread.run_sync(self._index.close)
        await to_thread.run_sync(self._store.close)
        if self._lock is not None:
            self._lock.close()

    # What is here

    async def reconcile(self, live: Mapping[int, str]) -> set[int]:
        """Forget members that are not `live` (ids with their store's id); the ids of those that are not here.

        Members that came while there was no embedder count as not here: their stores are to have vectors now.
        """
        return await self._in_thread(lambda: self._reconcile(live))

    def _reconcile(self, live: Mapping[int, str]) -> set[int]:
        present = self._store.member_stores()
        for member_id in present.keys() - live.keys():
            self._store.remove_member(member_id)
        stores = set(live.values())
        for store in self._store.stores():
            if store.id not in stores:
                self._store.remove_store(store.id)
                continue
            if self.embedder is not None and not store.fingerprint:
                self._store.adopt(store, self.embedder.fingerprint)
            if self.embedder is not None and store.fingerprint in ("", self.embedder.fingerprint):
                for member_id in self._store.members_without_vectors(store):
                    self._store.remove_member(member_id)
        return live.keys() - self._store.member_stores().keys()

    async def usage(self) -> dict[int, int]:
        """Bytes stored for each member; reindexing changes them."""
        return await self._in_thread(self._store.usage)

    async def keep_documents(self, file_ids: set[str]) -> None:
        """Forget the documents of files that are not among these."""

        def sweep() -> None:
            for file_id in self._store.file_ids() - file_ids:
                self._store.forget_file(file_id)

        await self._in_thread(sweep)

    async def maintain(self) -> None:
        """Keep the indexes in step with the truth, as long as the task lives: at first mend what a crash has broken."""
        await self._keeper.run()

    # Changes

    async def ingest(self, member: Member, path: Path) -> Ingested:
        """Parse, embed and chunk a file, and make it findable. What a crash left of the same work is used.

        Raises FileRefusedError, EmbedderMismatchError, EmbeddingError.
        """
        if known := await self._in_thread(lambda: self._store.member(member.id)):
            return _ingested(known[1])
        while True:
            try:
                row = await self._ingest(member, path)
                break
            except StoreRemovedError:
                # The last store of that id: the member's own is a new one.
                continue
        self._keeper.wake()
        return _ingested(row)

    async def _ingest(self, member: Member, path: Path) -> MemberRow:
        store = await self._in_thread(
            lambda: self._checked(self._store.open_store(member.store_id, self._fingerprint()))
        )
        fingerprint = store.fingerprint
        document = await self._in_thread(lambda: self._store.document(member.file_id, fingerprint))
        if document is None:
            document = await self._read(member, path, fingerprint)
        if fingerprint and self.embedder is not None:
            await self._embed(document)
        return await self._in_thread(lambda: self._add(member, store, document))

    def _fingerprint(self) -> str:
        return self.embedder.fingerprint if self.embedder else ""

    def _checked(self, store: Store) -> Store:
        """The store, unless its vectors are another embedder's. Raises EmbedderMismatchError."""
        if self.embedder is not None and store.fingerprint and store.fingerprint != self.embedder.fingerprint:
            raise EmbedderMismatchError(
                f"Vector store {store.id} was embedded by {store.fingerprint}, the embedder is {self.embedder.name}: "
                "go back to that embedder, or stop the server, run `understudy reindex` and add again what failed"
            )
        return store

    async def _read(self, member: Member, path: Path, fingerprint: str) -> Document:
        known = await self._in_thread(lambda: self._store.text_of_file(member.file_id))
        text = known[1] if known else await parse(path, member.filename)

        def add() -> Document:
            tokens = known[0] if known else tokenize(text).count
            if tokens > MAX_TOKENS:
                raise FileRefusedError.too_large()
            return self._store.add_document(member.file_id, fingerprint, tokens, text)

        return await self._in_thread(add)

    async def _embed(self, document: Document) -> None:
        """Embed the windows that have no vectors yet, segment by segment."""
        done = await self._in_thread(lambda: self._store.embedded_windows(document.id))
        total = window_count(document.tokens)
        if done >= total:
            return
        text = await self._in_thread(lambda: self._store.text(document.id))
        grid = await self._in_thread(lambda: tokenize(text))
        for first in range(done, total, _SEGMENT):
            end = min(first + _SEGMENT, total)
            cuts = [grid.cut(min(window * WINDOW, document.tokens)) for window in range(first, end + 1)]
            texts = [text[start:stop] for start, stop in pairwise(cuts)]
            vectors = await to_thread.run_sync(self._vectors, texts, limiter=self._ingest_limiter)
            await self._in_thread(partial(self._store.add_vectors, document.id, first, vectors))

    def _vectors(self, texts: Sequence[str]) -> NDArray[np.float32]:
        assert self.embedder is not None
        return self.embedder.embed(texts)

    def _add(self, member: Member, store: Store, document: Document) -> MemberRow:
        chunking = Chunking(member.max_chunk_size_tokens, member.chunk_overlap_tokens)
        text = self._store.text(document.id)
        grid = tokenize(text)
        spans = (chunking.span(chunk, document.tokens) for chunk in range(chunking.count(document.tokens)))
        texts = (text[grid.cut(start) : grid.cut(end)] for start, end in spans)
        return self._store.add_member(
            member.id, store, document, chunking, texts, self._store.vectors_bytes(document.id)
        )

    async def remove_member(self, member_id: int) -> None:
        """A file was taken out of a store; one that is not here is no error."""
        await self._in_thread(lambda: self._store.remove_member(member_id))
        self._keeper.wake()

    async def remove_store(self, store_id: str, members: Collection[int] | None = None) -> None:
        """A store is gone, or these of its members where a new store has been given its id; unknown is no error."""

        def remove() -> None:
            if store := self._store.store(store_id):
                self._store.remove_store(store_id, members)
                self._views.forget(store)

        await self._in_thread(remove)
        self._keeper.wake()

    async def forget_file(self, file_id: str) -> None:
        """A file was deleted, and has been taken out of its stores."""
        await self._in_thread(lambda: self._store.forget_file(file_id))
        self._keeper.wake()

    async def reindex(self) -> AsyncIterator[str]:
        """Embed with the present model what another one has embedded; yields the ids of the stores that are done.

        A store changes over at once, when all of its documents have been embedded. Raises EmbeddingError.
        """
        fingerprint = await self._in_thread(self._fingerprint)
        for store in await self._in_thread(self._store.stores):
            if store.fingerprint == fingerprint:
                continue
            for member in await self._in_thread(partial(self._store.members, store)):
                await self._embed_again(member.document, fingerprint)
            await self._in_thread(partial(self._store.refer_to, store, fingerprint))
            if self._index.used:
                await self._in_thread(partial(self._index.drop, name_of(store.number, store.id)))
            yield store.id
        await self._in_thread(self._store.forget_unused_documents)

    async def _embed_again(self, document: int, fingerprint: str) -> None:
        def copy() -> Document:
            file_id = self._store.file_id(document)
            text = self._store.text(document)
            return self._store.add_document(file_id, fingerprint, tokenize(text).count, text)

        copied = await self._in_thread(copy)
        if fingerprint:
            await self._embed(copied)

    # Questions

    async def search(
        self,
        store_ids: Sequence[str],
        queries: Sequence[str],
        *,
        limit: int,
        members: Collection[int] | None = None,
        ranking: Ranking = _FUSED,
        distinct: bool = False,
    ) -> list[Hit]:
        """The best `limit` passages for any of the queries, best first; of `members` alone where they are given.

        With `distinct` none shares text with a better one, as overlapping neighbours do.
        Raises EmbedderMismatchError, EmbeddingError.
        """
        options = _Options(limit, None if members is None else set(members), ranking, distinct)
        return await to_thread.run_sync(self._search, store_ids, queries, options, limiter=self._search_limiter)

    def _search(self, store_ids: Sequence[str], queries: Sequence[str], options: "_Options") -> list[Hit]:
        with self._store.reading() as connection:
            stores = [store for store_id in dict.fromkeys(store_ids) if (store := find_store(connection, store_id))]
            asked = self._embedded(stores, queries)
            ranked = [self._ranked(connection, store, query, options) for store in stores for query in asked]
            best_first = heapq.merge(*ranked, key=lambda candidate: -candidate.score)
            wanted = islice(chosen(best_first, distinct=options.distinct), options.limit)
            return [_hit(connection, candidate) for candidate in wanted]

    def _embedded(self, stores: Sequence[Store], queries: Sequence[str]) -> list[Query]:
        """Without an embedder, and in stores without vectors, the words alone decide."""
        if self.embedder is None or not any(self._checked(store).fingerprint for store in stores):
            return [Query(text, None) for text in queries]
        return [Query(text, vector) for text, vector in zip(queries, self.embedder.embed(queries), strict=True)]

    def _ranked(
        self, connection: sqlite3.Connection, store: Store, query: Query, options: "_Options"
    ) -> Iterator[Candidate]:
        view = self._views.view(connection, store)
        allowed = None
        if options.members is not None:
            allowed = np.array([member.id in options.members for member in view.members], np.bool_)
        places, scores = rank(connection, self._index, view, query, allowed, options.ranking)
        return map(partial(Candidate, view), places.tolist(), scores.tolist())

    async def text(self, member_id: int) -> str:
        """A member's parsed text. Raises KeyError where it is not here."""
        known = await self._in_thread(lambda: self._store.member(member_id))
        if known is None:
            raise KeyError(member_id)
        return await self._in_thread(lambda: self._store.text(known[1].document))

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await anyio.to_thread.run_sync(work)


def _ingested(member: MemberRow) -> Ingested:
    return Ingested(member.usage_bytes, member.chunks, member.tokens)


def _hit(connection: sqlite3.Connection, candidate: Candidate) -> Hit:
    row = connection.execute("SELECT text FROM chunks WHERE rowid = ?", (candidate.chunk_id,)).fetchone()
    start, end = candidate.span
    return Hit(candidate.member.id, candidate.number, candidate.score, row[0], end - start)
