"""Files of vector stores on their way into retrieval, and what is deleted on its way out of it."""

import logging
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
from anyio import CancelScope
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from understudy import tables, vector_stores
from understudy.crud import find
from understudy.database import Database
from understudy.file_storage import FileStorage
from understudy.retrieval_folder import RetrievalFolder
from understudy.schemas.base import JSON
from understudy.supervisor import Supervisor
from understudy_retrieval import (
    EmbedderMismatchError,
    EmbeddingError,
    EmbeddingRefusedError,
    FileRefusedError,
    Ingested,
    Member,
)

if TYPE_CHECKING:
    from understudy_retrieval import Retrieval

log = logging.getLogger("understudy")
_AT_ONCE = 2
_PAUSES = (1.0, 5.0, 15.0)  # seconds before what failed is tried again
_PORTION = 1000  # parameters of one statement
_FAULT = "An internal error occurred."


class Ingestion:
    """Takes the rows that are in progress, oldest first, a few at once; each ends only if it is still in progress."""

    def __init__(
        self, database: Database, storage: FileStorage, folder: RetrievalFolder, supervisor: Supervisor
    ) -> None:
        self._database = database
        self._storage = storage
        self._folder = folder
        self._supervisor = supervisor
        self._work = anyio.Event()
        self._change = anyio.Event()
        self._slots = anyio.Semaphore(_AT_ONCE)
        self._in_hand: dict[Member, CancelScope] = {}

    def start(self, *, new: bool = False) -> None:
        """Go on with what the last stop broke off, unless all is `new`, then with what comes."""
        self._supervisor.start("ingestion", self._await_first if new else self._run)

    def wake(self) -> None:
        """Rows have been inserted, or taken away."""
        self._work.set()
        self._change.set()
        self._change = anyio.Event()

    async def wait(self, store_ids: Sequence[str], seconds: float) -> None:
        """Wait until no file of these stores is in progress, at most so many seconds."""
        with anyio.move_on_after(seconds):
            while True:
                change = self._change
                if not await self._database.read(partial(_in_progress, store_ids=store_ids)):
                    return
                await change.wait()

    def break_off(self, member_ids: Collection[int]) -> None:
        """Files are not to be ingested any more."""
        self._break_off(lambda member: member.id in member_ids)

    async def forget(self, member_ids: Iterable[int]) -> None:
        """Files were taken out of their stores."""
        gone = set(member_ids)
        self.break_off(gone)
        if self._folder.exists:
            retrieval = await self._folder.open()
            for member_id in gone:
                await retrieval.remove_member(member_id)

    async def forget_file(self, file_id: str, member_ids: Sequence[int]) -> None:
        """A file was deleted, and with it these rows."""
        await self.forget(member_ids)
        if self._folder.exists:
            await (await self._folder.open()).forget_file(file_id)

    async def forget_store(self, store_id: str, member_ids: Collection[int]) -> None:
        """A store with these files was deleted or has expired; a new one may have been given its id."""
        self.break_off(member_ids)
        if self._folder.exists:
            await (await self._folder.open()).remove_store(store_id, member_ids)

    def _break_off(self, is_gone: Callable[[Member], bool]) -> None:
        for member, scope in self._in_hand.items():
            if is_gone(member):
                scope.cancel()
        self.wake()

    # -----------------------------------------------------------------------------------------------------------------
    # The work

    async def _await_first(self) -> None:
        await self._work.wait()
        await self._run()

    async def _run(self) -> None:
        while True:
            try:
                await self._work_off()
            except Exception:
                log.exception("ingestion stopped and begins again")
                await anyio.sleep(_PAUSES[-1])

    async def _work_off(self) -> None:
        self._slots = anyio.Semaphore(_AT_ONCE)
        if self._folder.exists or await self._database.read(_any_file):
            await self._reconcile(await self._folder.open())
        async with anyio.create_task_group() as group:
            while True:
                await self._slots.acquire()
                # Made before the look: who wakes after it is not overheard.
                work = self._work = anyio.Event()
                member = await self._database.read(partial(_next, in_hand={member.id for member in self._in_hand}))
                if member is None:
                    self._slots.release()
                    await work.wait()
                else:
                    self._in_hand[member] = CancelScope()
                    group.start_soon(self._take, member, self._in_hand[member])

    async def _reconcile(self, retrieval: "Retrieval") -> None:
        """Make retrieval forget what was deleted while it could not be told, and learn again what it lacks."""
        missing = await retrieval.reconcile(await self._database.read(_living))
        if lost := await self._database.write(partial(_ingest_again, seqs=missing)):
            log.warning("file search: %d files are ingested again: the data folder lacks their passages", lost)
        await self._database.write(partial(_correct_usage, usage=await retrieval.usage()))
        await retrieval.keep_documents(await self._database.read(_file_ids))

    async def _take(self, member: Member, scope: CancelScope) -> None:
        try:
            with scope:
                await self._ingest(member)
            if scope.cancelled_caught:
                await self._abandon(member)
        except Exception:
            # The database or the disk: the row is still in progress, and is taken again.
            log.exception("%s could not be ingested into %s", member.file_id, member.store_id)
            await anyio.sleep(_PAUSES[0])
        finally:
            del self._in_hand[member]
            self._slots.release()
            self.wake()

    async def _ingest(self, member: Member) -> None:
        started = time.perf_counter()
        retrieval = await self._folder.open()
        try:
            ingested = await self._ingested(retrieval, member)
        except FileRefusedError as error:
            ended = await self._fail(member, error.code, error.message)
        except (EmbedderMismatchError, EmbeddingError) as error:
            ended = await self._fail(member, "server_error", str(error))
        except Exception:
            # Before it is logged: a file or a store that is deleted meanwhile breaks things, rightly.
            if ended := await self._fail(member, "server_error", _FAULT):
                log.exception("%s could not be ingested into %s", member.file_id, member.store_id)
        else:
            ended = await self._end(member, status="completed", usage_bytes=ingested.usage_bytes)
            seconds = time.perf_counter() - started
            size = (ingested.chunks, ingested.tokens, seconds)
            log.info("%s into %s: %d chunks, %d tokens, %.1f s", member.file_id, member.store_id, *size)
        if not ended:
            await self._abandon(member)

    async def _ingested(self, retrieval: "Retrieval", member: Member) -> Ingested:
        for pause in _PAUSES:
            try:
                return await retrieval.ingest(member, self._storage.path(member.file_id))
            except EmbeddingRefusedError:
                raise
            except EmbeddingError as error:
                log.warning("%s waits for the embedding model: %s", member.file_id, error)
                await anyio.sleep(pause)
        return await retrieval.ingest(member, self._storage.path(member.file_id))

    async def _fail(self, member: Member, code: str, message: str) -> bool:
        ended = await self._end(member, status="failed", last_error={"code": code, "message": message})
        if ended:
            log.warning("%s into %s failed: %s", member.file_id, member.store_id, message)
        return ended

    async def _end(self, member: Member, **changes: Any) -> bool:
        """Whether the row was still in progress."""
        return await self._database.write(partial(_end, seq=member.id, changes=changes))

    async def _abandon(self, member: Member) -> None:
        """What was deleted or cancelled while it was ingested leaves nothing."""
        retrieval = await self._folder.open()
        await retrieval.remove_member(member.id)
        store_is_there, file_is_there = await self._database.read(partial(_presence, member=member))
        if not store_is_there:
            await retrieval.remove_store(member.store_id, [])
        if not file_is_there:
            await retrieval.forget_file(member.file_id)


def _in_progress(session: Session, store_ids: Sequence[str]) -> bool:
    file = tables.VectorStoreFile
    query = select(file.seq).where(file.vector_store_id.in_(store_ids), file.status == "in_progress")
    return session.scalars(query).first() is not None


def _any_file(session: Session) -> bool:
    return session.scalars(select(tables.VectorStoreFile.seq).limit(1)).first() is not None


def _file_ids(session: Session) -> set[str]:
    return set(session.scalars(select(tables.File.id)))


def _living(session: Session) -> dict[int, str]:
    """Rows that retrieval may have: those in progress too, which a stop may have caught at their end."""
    file, store = tables.VectorStoreFile, tables.VectorStore
    query = (
        select(file.seq, file.vector_store_id)
        .join(store, store.id == file.vector_store_id)
        .where(file.status.in_(("in_progress", "completed")), store.status != "expired")
    )
    return dict(session.execute(query).all())


def _ingest_again(session: Session, seqs: set[int]) -> int:
    file = tables.VectorStoreFile
    changed = 0
    ordered = sorted(seqs)
    for first in range(0, len(ordered), _PORTION):
        some = ordered[first : first + _PORTION]
        again = update(file).where(file.seq.in_(some), file.status == "completed")
        changed += session.connection().execute(again.values(status="in_progress", usage_bytes=0)).rowcount
    return changed


def _correct_usage(session: Session, usage: dict[int, int]) -> None:
    file = tables.VectorStoreFile
    query = select(file.seq, file.usage_bytes).where(file.status == "completed")
    for seq, size in session.execute(query).all():
        if usage.get(seq, size) != size:
            session.connection().execute(update(file).where(file.seq == seq).values(usage_bytes=usage[seq]))


def _next(session: Session, in_hand: set[int]) -> Member | None:
    file = tables.VectorStoreFile
    query = (
        select(file, tables.File.filename)
        .join(tables.File, tables.File.id == file.id)
        .where(file.status == "in_progress", file.seq.not_in(in_hand))
        .order_by(file.seq)
        .limit(1)
    )
    found = session.execute(query).first()
    if found is None:
        return None
    row, filename = found
    return Member(row.seq, row.vector_store_id, row.id, filename, row.max_chunk_size_tokens, row.chunk_overlap_tokens)


def _end(session: Session, seq: int, changes: JSON) -> bool:
    file = tables.VectorStoreFile
    still = update(file).where(file.seq == seq, file.status == "in_progress")
    return session.connection().execute(still.values(**changes)).rowcount == 1


def _presence(session: Session, member: Member) -> tuple[bool, bool]:
    store = find(session, tables.VectorStore, member.store_id)
    there = store is not None and not vector_stores.is_expired(store)
    return there, find(session, tables.File, member.file_id) is not None
