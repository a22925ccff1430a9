"""What assistants, threads and attachments give the built-in tools to work on."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import String, cast, select
from sqlalchemy.orm import Session

from understudy import refusals, tables
from understudy.crud import find, get_or_404
from understudy.schemas.base import JSON
from understudy.schemas.messages import Attachment, ImageFilePart, MessageCreate
from understudy.schemas.tools import FileSearchResources, ToolResources
from understudy.vector_stores import THREAD_EXPIRES_AFTER, add_files, get_live, insert_store, new_files
from understudy_retrieval.parsing.types import is_supported, suffix_of


def merged(
    session: Session,
    present: JSON,
    wanted: ToolResources | None,
    tools: list[JSON],
    new_stores_expire_after: JSON | None = None,
) -> JSON:
    """`present` with the tools that `wanted` names replaced, and the empty list that the API shows for a tool.

    Raises BadRequestError for unknown files and those of types that cannot be searched, NotFoundError for unknown
    vector stores.
    """
    resources = dict(present)
    if wanted is not None and wanted.code_interpreter is not None:
        file_ids = list(dict.fromkeys(wanted.code_interpreter.file_ids or []))
        check_files(session, file_ids, "tool_resources.code_interpreter.file_ids")
        resources["code_interpreter"] = {"file_ids": file_ids}
    if wanted is not None and wanted.file_search is not None:
        store_ids = _stores(session, wanted.file_search, new_stores_expire_after)
        resources["file_search"] = {"vector_store_ids": store_ids}
    if "code_interpreter" not in resources and {"type": "code_interpreter"} in tools:
        resources = {"code_interpreter": {"file_ids": []}, **resources}
    return resources


def _stores(session: Session, wanted: FileSearchResources, expire_after: JSON | None) -> list[str]:
    """The vector stores that are named, or made of what is given inline."""
    place = "tool_resources.file_search"
    if wanted.vector_store_ids and wanted.vector_stores:
        raise refusals.EXCLUSIVE(param=f"{place}.vector_stores", first="vector_store_ids", second="vector_stores")
    for store_id in wanted.vector_store_ids or []:
        get_or_404(session, tables.VectorStore, store_id)
    store_ids = list(wanted.vector_store_ids or [])
    for number, given in enumerate(wanted.vector_stores or []):
        file_ids = given.file_ids or []
        check_files(session, file_ids, f"{place}.vector_stores[{number}].file_ids")
        _check_types(session, file_ids)
        files = new_files(file_ids, given.chunking_strategy)
        store = insert_store(session, files, expires_after=expire_after, metadata=given.metadata)
        store_ids.append(store.id)
    return store_ids


def attach(session: Session, thread: tables.Thread, attachments: Iterable[Attachment], param: str) -> None:
    """Add a message's attachments to the thread's resources [D]."""
    added: dict[str, list[str]] = {"code_interpreter": [], "file_search": []}
    for number, attachment in enumerate(attachments):
        if not attachment.tools:
            raise refusals.MISSING(param=f"{param}attachments[{number}].tools")
        check_files(session, [attachment.file_id], f"{param}attachments[{number}].file_id", listed=False)
        for tool in attachment.tools:
            added[tool.type].append(attachment.file_id)
    if added["code_interpreter"]:
        present = thread.tool_resources.get("code_interpreter", {}).get("file_ids", [])
        file_ids = list(dict.fromkeys([*present, *added["code_interpreter"]]))
        thread.tool_resources = thread.tool_resources | {"code_interpreter": {"file_ids": file_ids}}
    if added["file_search"]:
        store_id = _attach_to_store(session, thread, added["file_search"])
        thread.tool_resources = thread.tool_resources | {"file_search": {"vector_store_ids": [store_id]}}
    session.add(thread)


def _attach_to_store(session: Session, thread: tables.Thread, file_ids: list[str]) -> str:
    """Put files into the thread's vector store, a new one where it has none or that was deleted; its id."""
    _check_types(session, file_ids)
    for store_id in thread.tool_resources.get("file_search", {}).get("vector_store_ids", []):
        if find(session, tables.VectorStore, store_id) is not None:
            add_files(session, get_live(session, store_id), new_files(file_ids))
            return str(store_id)
    return insert_store(session, new_files(file_ids), expires_after=THREAD_EXPIRES_AFTER).id


def _check_types(session: Session, file_ids: list[str]) -> None:
    """Raises BadRequestError for files whose type cannot be searched."""
    names = session.scalars(select(tables.File.filename).where(tables.File.id.in_(file_ids)))
    refused = {suffix_of(name) or "none" for name in names if not is_supported(name)}
    if refused:
        raise refusals.NOT_RETRIEVABLE(extensions=", ".join(sorted(refused)))


def check_message_files(session: Session, body: MessageCreate, param: str) -> None:
    """Raises NotFoundError where a message shows an image file that is not there."""
    for number, part in enumerate(body.content):
        if isinstance(part, ImageFilePart):
            check_files(
                session, [part.image_file.file_id], f"{param}content[{number}].image_file.file_id", listed=False
            )


def check_file_ids(file_ids: list[str], param: str, *, listed: bool = True) -> None:
    """Raises BadRequestError for what is no file id."""
    for number, file_id in enumerate(file_ids):
        if not file_id.startswith("file"):
            place = f"{param}[{number}]" if listed else param
            raise refusals.NO_ID(param=place, value=file_id, prefix="file")


def check_files(session: Session, file_ids: list[str], param: str, *, listed: bool = True) -> None:
    """Raises BadRequestError for what is no file id, and for files that are not there."""
    check_file_ids(file_ids, param, listed=listed)
    known = set(session.scalars(select(tables.File.id).where(tables.File.id.in_(file_ids))))
    if missing := [file_id for file_id in file_ids if file_id not in known]:
        raise refusals.NO_SUCH_FILE(param=param, id=missing[0])


def detach_file(session: Session, file_id: str) -> None:
    """A file is deleted: take it out of every tool resource [D]."""
    for table in (tables.Assistant, tables.Thread, tables.Run):
        resources_text = cast(getattr(table, "tool_resources"), String)  # noqa: B009
        holding: Any = select(table).where(resources_text.contains(file_id, autoescape=True))
        for row in session.scalars(holding):
            resources = {tool: dict(content) for tool, content in row.tool_resources.items()}
            left = [one for one in resources.get("code_interpreter", {}).get("file_ids", []) if one != file_id]
            if "code_interpreter" in resources:
                resources["code_interpreter"]["file_ids"] = left
            row.tool_resources = resources
            session.add(row)
