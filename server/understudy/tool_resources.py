"""What assistants, threads and attachments give the built-in tools to work on."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import String, cast
from sqlmodel import Session, col, select

from understudy import tables
from understudy.errors import BadRequestError, NotSupportedError, missing_parameter
from understudy.schemas.base import JSON
from understudy.schemas.messages import Attachment, ImageFilePart, MessageCreate
from understudy.schemas.tools import ToolResources

NO_FILE_SEARCH = "File search is not part of this version of Understudy: vector stores come with the next one."


def merged(session: Session, present: JSON, wanted: ToolResources | None, tools: list[JSON]) -> JSON:
    """`present` with the tools that `wanted` names replaced, and the empty list that the API shows for a tool.

    Raises NotFoundError for unknown files, NotSupportedError for vector stores.
    """
    resources = dict(present)
    if wanted is not None and wanted.code_interpreter is not None:
        file_ids = list(dict.fromkeys(wanted.code_interpreter.file_ids or []))
        check_files(session, file_ids, "tool_resources.code_interpreter.file_ids")
        resources["code_interpreter"] = {"file_ids": file_ids}
    if wanted is not None and wanted.file_search is not None:
        if wanted.file_search.vector_store_ids or wanted.file_search.vector_stores:
            raise NotSupportedError(NO_FILE_SEARCH, param="tool_resources.file_search")
        resources["file_search"] = {"vector_store_ids": []}
    if "code_interpreter" not in resources and {"type": "code_interpreter"} in tools:
        resources = {"code_interpreter": {"file_ids": []}, **resources}
    return resources


def attach(session: Session, thread: tables.Thread, attachments: Iterable[Attachment], param: str) -> None:
    """Add a message's attachments to the thread's resources [D]."""
    present = thread.tool_resources.get("code_interpreter", {}).get("file_ids", [])
    added = []
    for number, attachment in enumerate(attachments):
        if not attachment.tools:
            raise missing_parameter(f"{param}attachments[{number}].tools")
        if any(tool.type == "file_search" for tool in attachment.tools):
            raise NotSupportedError(NO_FILE_SEARCH, param=f"{param}attachments[{number}].tools")
        check_files(session, [attachment.file_id], f"{param}attachments[{number}].file_id", listed=False)
        added.append(attachment.file_id)
    if added:
        file_ids = list(dict.fromkeys([*present, *added]))
        thread.tool_resources = thread.tool_resources | {"code_interpreter": {"file_ids": file_ids}}
        session.add(thread)


def check_message_files(session: Session, body: MessageCreate, param: str) -> None:
    """Raises NotFoundError where a message shows an image file that is not there."""
    for number, part in enumerate(body.content):
        if isinstance(part, ImageFilePart):
            check_files(
                session, [part.image_file.file_id], f"{param}content[{number}].image_file.file_id", listed=False
            )


def check_files(session: Session, file_ids: list[str], param: str, *, listed: bool = True) -> None:
    """Raises BadRequestError for what is no file id, and for files that are not there."""
    for number, file_id in enumerate(file_ids):
        if not file_id.startswith("file"):
            place = f"{param}[{number}]" if listed else param
            raise BadRequestError(
                f"Invalid '{place}': '{file_id}'. Expected an ID that begins with 'file'.",
                param=place,
                code="invalid_value",
            )
    known = set(session.exec(select(tables.File.id).where(col(tables.File.id).in_(file_ids))))
    if missing := [file_id for file_id in file_ids if file_id not in known]:
        raise BadRequestError(f"No file found with id '{missing[0]}'.", param=param)


def detach_file(session: Session, file_id: str) -> None:
    """A file is deleted: take it out of every tool resource [D]."""
    for table in (tables.Assistant, tables.Thread):
        resources_text = cast(col(getattr(table, "tool_resources")), String)  # noqa: B009
        holding: Any = select(table).where(resources_text.contains(file_id, autoescape=True))
        for row in session.exec(holding):
            resources = {tool: dict(content) for tool, content in row.tool_resources.items()}
            left = [one for one in resources.get("code_interpreter", {}).get("file_ids", []) if one != file_id]
            if "code_interpreter" in resources:
                resources["code_interpreter"]["file_ids"] = left
            row.tool_resources = resources
            session.add(row)
