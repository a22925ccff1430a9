"""Vector stores' rows: what comes into a store, what it comes to, when it expires."""

from collections.abc import Iterable, Sequence
from typing import Any, Literal

from sqlalchemy import and_, func, insert, select, update
from sqlalchemy.orm import Session

from understudy import clock, crud, refusals, tables
from understudy.ids import new_id
from understudy.schemas.base import JSON
from understudy.schemas.file_batches import FileBatch
from understudy.schemas.vector_store_files import Strategy, VectorStoreFileCreate, chunking
from understudy.schemas.vector_stores import FileCounts, VectorStore

_DAY = 24 * 3600
THREAD_EXPIRES_AFTER: JSON = {"anchor": "last_active_at", "days": 7}
"""Of stores that come with a thread or a message [D]."""


def insert_store(
    session: Session,
    files: Sequence[VectorStoreFileCreate],
    *,
    store_id: str | None = None,
    name: str | None = None,
    description: str | None = None,
    expires_after: JSON | None = None,
    metadata: dict[str, str] | None = None,
) -> tables.VectorStore:
    """A new store with these files. Raises FileNotFoundAPIError."""
    now = clock.now()
    store = tables.VectorStore(
        id=store_id or new_id("vs"),
        created_at=now,
        last_active_at=now,
        name=name,
        description=description,
        expires_after=expires_after,
        metadata_=metadata or {},
    )
    store.expires_at = _expires_at(store)
    session.add(store)
    session.flush()
    add_files(session, store, files)
    return store


def new_files(file_ids: Iterable[str], strategy: Strategy | None = None) -> list[VectorStoreFileCreate]:
    """Files that share a chunking strategy."""
    return [
        VectorStoreFileCreate.model_construct(file_id=file_id, attributes=None, chunking_strategy=strategy)
        for file_id in file_ids
    ]


def is_expired(store: tables.VectorStore) -> bool:
    """Whether its time has come."""
    return store.status == "expired" or (store.expires_at is not None and store.expires_at <= clock.now())


def get_live(session: Session, store_id: str) -> tables.VectorStore:
    """A store that can be used. Raises NotFoundError and BadRequestError."""
    store = crud.get_or_404(session, tables.VectorStore, store_id)
    if is_expired(store):
        raise refusals.STORE_EXPIRED(store=store_id)
    return store


def touch(session: Session, store_ids: Iterable[str]) -> None:
    """The stores are in use: those that expire do so later."""
    live = select(tables.VectorStore).where(tables.VectorStore.id.in_(list(store_ids)))
    for store in session.scalars(live):
        if not is_expired(store):
            store.last_active_at = clock.now()
            store.expires_at = _expires_at(store)
            session.add(store)


def set_expiry(store: tables.VectorStore, expires_after: JSON | None) -> None:
    """Change when a store expires. Raises BadRequestError where it has."""
    if is_expired(store):
        raise refusals.STORE_EXPIRED(store=store.id)
    store.expires_after = expires_after
    store.expires_at = _expires_at(store)


def _expires_at(store: tables.VectorStore) -> int | None:
    return store.last_active_at + store.expires_after["days"] * _DAY if store.expires_after else None


def add_files(session: Session, store: tables.VectorStore, files: Sequence[VectorStoreFileCreate]) -> list[int]:
    """Put files into a store, to be ingested; the keys of the rows that gave way to new ones.

    A file that is there stays, unless it failed or is to be cut otherwise. Raises FileNotFoundAPIError.
    """
    wanted = {file.file_id: file for file in files}
    if not wanted:
        return []
    # On PostgreSQL two adds of one file would both find it missing.
    session.scalars(select(tables.VectorStore.seq).where(tables.VectorStore.id == store.id).with_for_update()).first()
    known = set(session.scalars(select(tables.File.id).where(tables.File.id.in_(wanted))))
    for file_id in wanted:
        if file_id not in known:
            raise refusals.FILE_NOT_FOUND(id=file_id)
    present = {row.id: row for row in session.scalars(_rows(store.id).where(tables.VectorStoreFile.id.in_(wanted)))}
    replaced = [row for row in present.values() if not _stays(row, wanted[row.id])]
    for row in replaced:
        session.delete(row)
    session.flush()
    gone = {row.id for row in replaced}
    for file_id, file in wanted.items():
        row = present.get(file_id)
        attributes = row.attributes if row is not None and file.attributes is None else file.attributes or {}
        if row is None or file_id in gone:
            cut = chunking(file.chunking_strategy)
            row = tables.VectorStoreFile(
                id=file_id,
                created_at=clock.now(),
                vector_store_id=store.id,
                max_chunk_size_tokens=cut.max_chunk_size_tokens,
                chunk_overlap_tokens=cut.chunk_overlap_tokens,
            )
        row.attributes = attributes
        session.add(row)
    touch(session, [store.id])
    session.flush()
    return [row.seq for row in replaced if row.seq is not None]


def _rows(store_id: str) -> Any:
    return select(tables.VectorStoreFile).where(tables.VectorStoreFile.vector_store_id == store_id)


def _stays(row: tables.VectorStoreFile, wanted: VectorStoreFileCreate) -> bool:
    if row.status not in ("in_progress", "completed"):
        return False
    cut = chunking(wanted.chunking_strategy)
    return wanted.chunking_strategy is None or (row.max_chunk_size_tokens, row.chunk_overlap_tokens) == (
        cut.max_chunk_size_tokens,
        cut.chunk_overlap_tokens,
    )


def get_file(session: Session, store_id: str, file_id: str) -> tables.VectorStoreFile:
    """A store's file. Raises NotFoundError."""
    crud.get_or_404(session, tables.VectorStore, store_id)
    row: tables.VectorStoreFile | None = session.scalars(
        _rows(store_id).where(tables.VectorStoreFile.id == file_id)
    ).first()
    if row is None:
        raise refusals.FILE_NOT_IN_STORE(id=file_id, store=store_id)
    return row


def detach_file(session: Session, file_id: str) -> list[int]:
    """Take a deleted file out of every store; the keys of its rows."""
    rows = session.scalars(select(tables.VectorStoreFile).where(tables.VectorStoreFile.id == file_id)).all()
    for row in rows:
        crud.delete_row(session, row)
    return [row.seq for row in rows if row.seq is not None]


def any_due(session: Session) -> bool:
    """Whether there is something to sweep."""
    return session.scalars(_due(tables.VectorStore.seq).limit(1)).first() is not None


def _due(what: Any) -> Any:
    store = tables.VectorStore
    return select(what).where(store.expires_at <= clock.now(), store.status != "expired")


def file_seqs(session: Session, store_id: str) -> list[int]:
    """The keys of a store's files."""
    found = session.scalars(
        select(tables.VectorStoreFile.seq).where(tables.VectorStoreFile.vector_store_id == store_id)
    )
    return [seq for seq in found if seq is not None]


def sweep(session: Session) -> dict[str, list[int]]:
    """Mark the stores whose time has come as expired; their ids and their files' keys, which are to be forgotten."""
    due: list[tables.VectorStore] = list(session.scalars(_due(tables.VectorStore)))
    for store in due:
        store.status = "expired"
        session.add(store)
        of_store = update(tables.VectorStoreFile).where(tables.VectorStoreFile.vector_store_id == store.id)
        session.connection().execute(of_store.values(usage_bytes=0))
        session.connection().execute(
            of_store.where(tables.VectorStoreFile.status == "in_progress").values(
                status="failed",
                last_error={"code": "server_error", "message": f"Vector store '{store.id}' has expired"},
            )
        )
    return {store.id: file_seqs(session, store.id) for store in due}


def shown_stores(session: Session, rows: Sequence[Any]) -> list[VectorStore]:
    """Stores as wire objects, their files counted."""
    counts, usage = _counted(session, rows)
    stores = []
    for row in rows:
        store = VectorStore.model_validate(row)
        store.file_counts = counts[row.id]
        store.usage_bytes = usage[row.id]
        if is_expired(row):
            store.status = "expired"
        elif store.file_counts.in_progress:
            store.status = "in_progress"
        stores.append(store)
    return stores


def shown_store(session: Session, row: tables.VectorStore) -> VectorStore:
    """A store as a wire object."""
    return shown_stores(session, [row])[0]


def insert_batch(
    session: Session, store: tables.VectorStore, files: Sequence[VectorStoreFileCreate]
) -> tuple[tables.FileBatch, list[int]]:
    """A new batch that puts these files into a store, and what `add_files` returns."""
    batch = tables.FileBatch(id=new_id("vsfb"), created_at=clock.now(), vector_store_id=store.id)
    session.add(batch)
    session.flush()
    replaced = add_files(session, store, files)
    members = [{"batch_id": batch.id, "file_id": file_id} for file_id in {file.file_id: None for file in files}]
    if members:
        session.connection().execute(insert(tables.FileBatchFile), members)
    return batch, replaced


def in_batch(batch: tables.FileBatch) -> Any:
    """The condition that a store's file is one of the batch's, whoever has put it there again since."""
    files = select(tables.FileBatchFile.file_id).where(tables.FileBatchFile.batch_id == batch.id)
    file = tables.VectorStoreFile
    return and_(file.vector_store_id == batch.vector_store_id, file.id.in_(files))


def shown_batch(session: Session, row: tables.FileBatch) -> FileBatch:
    """A file batch as a wire object, its files counted."""
    status = tables.VectorStoreFile.status
    counts = FileCounts()
    for state, number in session.connection().execute(
        select(status, func.count()).where(in_batch(row)).group_by(status)
    ):
        setattr(counts, state, number)
        counts.total += number
    ended: Literal["cancelled", "completed"] = "cancelled" if row.cancelled else "completed"
    return FileBatch(
        id=row.id,
        created_at=row.created_at,
        status="in_progress" if counts.in_progress else ended,
        vector_store_id=row.vector_store_id,
        file_counts=counts,
    )


def _counted(session: Session, rows: Sequence[Any]) -> tuple[dict[str, FileCounts], dict[str, int]]:
    """Files by status, and bytes, of each store."""
    ids = [row.id for row in rows]
    counts, usage = {one: FileCounts() for one in ids}, dict.fromkeys(ids, 0)
    owner, status = tables.VectorStoreFile.vector_store_id, tables.VectorStoreFile.status
    query: Any = select(owner, status, func.count(), func.sum(tables.VectorStoreFile.usage_bytes))
    for one, state, number, size in session.connection().execute(query.where(owner.in_(ids)).group_by(owner, status)):
        setattr(counts[one], state, number)
        counts[one].total += number
        usage[one] += int(size)
    return counts, usage
