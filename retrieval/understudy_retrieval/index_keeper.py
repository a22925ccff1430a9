"""Keeps the vector index in step with the chunk store, and purges what nobody can find any more, in the background."""

import logging

import anyio
from anyio import to_thread

from understudy_retrieval.chunk_rows import Garbage, MemberRow, Store, find_vectors
from understudy_retrieval.chunk_store import ChunkStore
from understudy_retrieval.chunking import window_count
from understudy_retrieval.store_view import EXACT_WINDOWS
from understudy_retrieval.vector_index import BATCH, Index, name_of

log = logging.getLogger("understudy_retrieval")
_PURGED_AT_ONCE = 200  # chunks: a deletion must not keep other writers waiting
_WORTH_A_MERGE = 0.25  # of the chunks that are left: a merge writes the whole index anew
_PAUSE_AFTER_ERROR = 30  # seconds


class IndexKeeper:
    """One task. A search never depends on how far it has come."""

    def __init__(self, store: ChunkStore, index: Index) -> None:
        self._store = store
        self._index = index
        self._work = anyio.Event()

    def wake(self) -> None:
        """There is something to do."""
        self._work.set()

    async def run(self) -> None:
        """Mend, then purge and index whenever it is woken; never returns."""
        mended = False
        while True:
            self._work = anyio.Event()
            try:
                if not mended:
                    await to_thread.run_sync(self.mend)
                    mended = True
                await to_thread.run_sync(self.catch_up)
            except Exception:
                # A full disk, a Chroma server that is away: searches go on without the index.
                log.exception("the vector index could not be brought up to date")
                with anyio.move_on_after(_PAUSE_AFTER_ERROR):
                    await self._work.wait()
                continue
            await self._work.wait()

    def mend(self) -> None:
        """Drop collections that do not answer or do not hold what they should; they are built again."""
        stores = {name_of(store.number, store.id): store for store in self._store.stores()}
        names = self._names()
        for name, store in stores.items():
            self._probe(name, store, present=name in names)
        if not self._index.remote:  # a server may hold others' collections
            for name in set(names) - stores.keys():
                self._index.drop(name)

    def _names(self) -> list[str]:
        if not self._index.used:
            return []
        try:
            return self._index.names()
        except Exception:
            if self._index.remote:
                raise
            log.exception("Chroma cannot open its folder: it is made again")
            self._index.erase()
            return []

    def _probe(self, name: str, store: Store, *, present: bool) -> None:
        indexed = [member for member in self._store.members(store) if member.indexed]
        expected = sum(window_count(member.tokens) for member in indexed)
        expected += sum(one.windows for one in self._store.garbage() if one.store == store.number)
        try:
            sound = self._index.count(store) >= expected if present else not indexed
        except Exception:
            log.exception("the vector index of %s does not answer", store.id)
            sound = False
        if sound:
            return
        log.warning("the vector index of %s is built again", store.id)
        self._store.mark_indexed(store, [member.id for member in indexed], indexed=False)
        if present:
            self._index.drop(name)

    def catch_up(self) -> None:
        """Purge all garbage, index what is not yet."""
        thrown_away = self._store.garbage()
        for garbage in thrown_away:
            self._purge(garbage)
        purged = sum(garbage.end_chunk - garbage.first_chunk for garbage in thrown_away)
        if purged and purged >= _WORTH_A_MERGE * self._store.chunk_count():
            self._store.merge()
        if self._store.wasteful():
            self._store.vacuum()
        for store in self._store.stores():
            if store.fingerprint:
                self._index_store(store)

    def _purge(self, garbage: Garbage) -> None:
        if garbage.member is None:
            if self._index.used:
                self._index.drop(name_of(garbage.store, garbage.store_id))
        elif garbage.windows and (store := self._store.store(garbage.store_id)):
            for first in range(0, garbage.windows, BATCH):
                self._index.remove(store, garbage.member, first, min(first + BATCH, garbage.windows))
        for first in range(garbage.first_chunk, garbage.end_chunk, _PURGED_AT_ONCE):
            self._store.purge(garbage, first, min(first + _PURGED_AT_ONCE, garbage.end_chunk))
        self._store.forget_garbage(garbage)

    def _index_store(self, store: Store) -> None:
        members = self._store.members(store)
        windows = sum(window_count(member.tokens) for member in members)
        if windows <= EXACT_WINDOWS and not self._index.remote:
            return
        for member in members:
            if not member.indexed:
                self._index_member(store, member)

    def _index_member(self, store: Store, member: MemberRow) -> None:
        with self._store.reading() as connection:
            vectors = find_vectors(connection, member.document)
        if not len(vectors):
            return
        for first in range(0, len(vectors), BATCH):
            self._index.add(store, member.id, first, vectors[first : first + BATCH])
        self._store.mark_indexed(store, [member.id], indexed=True)
