"""What every resource's routes call: look up, list, delete."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, cast

from sqlalchemy import Integer, Select, bindparam, delete, func, select
from sqlalchemy.orm import Session

from understudy import clock, refusals, tables
from understudy.errors import APIError
from understudy.ids import new_id
from understudy.schemas.base import ListPage, ListParams

Row = TypeVar("Row", bound=tables.Base)
Wire = TypeVar("Wire")

_Page = ListPage[Any]  # made once: to look it up costs more than a page
_NAMES = {
    tables.Assistant: "assistant",
    tables.Thread: "thread",
    tables.Message: "message",
    tables.Run: "run",
    tables.RunStep: "run step",
    tables.VectorStore: "vector store",
    tables.FileBatch: "vector store file batch",
    tables.VectorStoreFile: "file",
    tables.Upload: "upload",
}

# What is no such id at all is refused before it is looked for [I].
_ID_PARAMS = {
    tables.Assistant: ("assistant_id", "asst"),
    tables.Thread: ("thread_id", "thread"),
    tables.Message: ("message_id", "msg"),
    tables.Run: ("run_id", "run"),
    tables.RunStep: ("step_id", "step"),
    tables.VectorStore: ("vector_store_id", "vs"),
}


def get_or_404(session: Session, table: type[Row], object_id: str, **parents: str) -> Row:
    """The row with that id under those parents. Raises NotFoundError, and BadRequestError for what is no such id."""
    param, prefix = _ID_PARAMS.get(table, ("", ""))
    if not object_id.startswith(prefix):
        raise refusals.NO_ID(param=param, value=object_id[:64], prefix=prefix)
    row = find(session, table, object_id)
    if row is None or any(getattr(row, name) != value for name, value in parents.items()):
        raise not_found(table, object_id)
    return row


def get_in_thread(session: Session, table: type[Row], object_id: str, thread_id: str) -> Row:
    """The row with that id in that thread. Raises as get_or_404, for what is missing of the two."""
    row = find(session, table, object_id)
    if row is not None and getattr(row, "thread_id") == thread_id:  # noqa: B009
        return row
    get_or_404(session, tables.Thread, thread_id)
    return get_or_404(session, table, object_id, thread_id=thread_id)


def find(session: Session, table: type[Row], object_id: str) -> Row | None:
    """The row with that id, if there is one."""
    return cast("Row | None", session.scalars(_by_id(table), {"object_id": object_id}).first())


@functools.cache
def _by_id(table: type[Row]) -> Any:
    # Made once: building a statement costs as much as running it.
    return select(table).where(_id(table) == bindparam("object_id"))


def not_found(table: type[tables.Base], object_id: str) -> APIError:
    """The 404 of a resource."""
    if table is tables.File:
        return refusals.FILE_NOT_FOUND(id=object_id)
    return refusals.NOT_FOUND(kind=_NAMES[table], id=object_id)


def chosen_id(session: Session, table: type[Row], prefix: str, wanted: str | None) -> str:
    """A fresh id, or the one that the client chose. Raises BadRequestError where it is malformed or taken."""
    if wanted is None:
        return new_id(prefix)
    separator = "-" if prefix == "file" else "_"
    if not wanted.startswith(prefix + separator) or not wanted.replace("_", "").replace("-", "").isalnum():
        raise refusals.NO_ID(param="id", value=wanted, prefix=prefix)
    if len(wanted) > 64 or not wanted.isascii():
        raise refusals.ID_TOO_LONG(value=wanted)
    if not is_free(session, table, wanted):
        raise refusals.ID_TAKEN(value=wanted)
    return wanted


def is_free(session: Session, table: type[Row], object_id: str) -> bool:
    """Whether no row has the id; nobody else is told so before the transaction ends."""
    if session.get_bind().dialect.name == "postgresql":
        session.connection().execute(select(func.pg_advisory_xact_lock(func.hashtext(object_id))))
    return session.scalars(select(_id(table)).where(_id(table) == object_id)).first() is None


def list_page(
    session: Session, table: type[Row], params: ListParams, wire: type[Wire], **fields: str | None
) -> ListPage[Wire]:
    """The page that `params` ask for of the rows with those `fields`, as far as they are given, as wire objects."""
    rows, has_more = list_rows(session, table, params, fields)
    return as_page(rows, [wire.model_validate(row) for row in rows], has_more)  # type: ignore[attr-defined]


def list_in_thread(
    session: Session, table: type[Row], params: ListParams, wire: type[Wire], thread_id: str, **fields: str | None
) -> ListPage[Wire]:
    """The same, among the rows of a thread. Raises as get_or_404 where there is no such thread."""
    page = list_page(session, table, params, wire, thread_id=thread_id, **fields)
    if not page.data:
        get_or_404(session, tables.Thread, thread_id)
    return page


def as_page(rows: Sequence[Any], data: list[Wire], has_more: bool) -> ListPage[Wire]:
    """A page of `rows`, shown as `data`."""
    first, last = (rows[0].id, rows[-1].id) if rows else (None, None)
    return _Page(data=data, first_id=first, last_id=last, has_more=has_more)


def list_rows(
    session: Session,
    table: type[Row],
    params: ListParams,
    fields: Mapping[str, str | None],
    *conditions: Any,
    within: str = "",
) -> tuple[Sequence[Any], bool]:
    """A page of the rows with those `fields`, as far as they are given, that meet `conditions`; whether more follow.

    `within` is the vector store whose files are listed.
    """
    given: dict[str, Any] = {name: value for name, value in fields.items() if value is not None}
    descending, seq = params.order == "desc", table.__table__.c.seq
    # With `before` alone, the page wanted is the one that ends right before the cursor.
    backwards = bool(params.before and not params.after)
    query = _listing(table, tuple(given), descending != backwards)
    if conditions:
        query = query.where(*conditions)
    if params.after:
        place = _place(session, table, params.after, within)
        query = query.where(seq < place if descending else seq > place)
    if params.before:
        place = _place(session, table, params.before, within)
        query = query.where(seq > place if descending else seq < place)
    rows = list(session.connection().execute(query, given | {"most": params.limit + 1}))
    has_more = len(rows) > params.limit
    rows = rows[: params.limit]
    return (rows[::-1] if backwards else rows), has_more


@functools.cache
def _listing(table: type[Row], fields: tuple[str, ...], descending: bool) -> Select[Any]:
    # Core rows, not ORM objects: building those is most of a list's cost, 29 µs each.
    columns = table.__table__.c
    query = select(table.__table__).where(*(columns[name] == bindparam(name) for name in fields))
    order = columns.seq.desc() if descending else columns.seq.asc()
    return query.order_by(order).limit(bindparam("most", type_=Integer))


def _place(session: Session, table: type[Row], cursor: str, within: str) -> int:
    present = select(getattr(table, "seq")).where(_id(table) == cursor)  # noqa: B009
    if within:
        present = present.where(tables.VectorStoreFile.vector_store_id == within)
    deleted = select(tables.Tombstone.seq).where(tables.Tombstone.id == _place_name(cursor, within))
    for query in (present, deleted):
        place = session.scalars(query).first()
        if place is not None:
            return int(place)
    raise not_found(table, cursor)


def _place_name(object_id: str, within: str) -> str:
    # A file's id is unique within a vector store alone.
    return f"{within}/{object_id}" if within else object_id


def delete_row(session: Session, row: Row) -> None:
    """Delete a row and remember its place in the list."""
    seq, object_id = getattr(row, "seq"), getattr(row, "id")  # noqa: B009
    within = row.vector_store_id if isinstance(row, tables.VectorStoreFile) else ""
    session.merge(tables.Tombstone(id=_place_name(object_id, within), seq=seq, deleted_at=clock.now()))
    session.delete(row)


def forget_tombstones(session: Session, older_than: int) -> None:
    """Drop the places of objects deleted before `older_than` (seconds since the epoch)."""
    session.connection().execute(delete(tables.Tombstone).where(tables.Tombstone.deleted_at < older_than))


def _id(table: type[Row]) -> Any:
    return getattr(table, "id")  # noqa: B009
