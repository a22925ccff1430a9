"""/files."""

from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Query, Request
from pydantic import Field
from sqlmodel import Session
from starlette.responses import FileResponse

from understudy import clock, crud, form_upload, tables, vector_stores
from understudy.errors import BadRequestError, FileNotFoundAPIError, missing_parameter
from understudy.file_storage import MAX_BYTES
from understudy.form_upload import Upload
from understudy.json_route import JSONRoute
from understudy.schemas.base import Deleted, ListPage, ListParams
from understudy.schemas.files import NO_DOWNLOAD, PURPOSES, File
from understudy.services import House, Services
from understudy.tool_resources import detach_file

router = APIRouter(prefix="/files", tags=["Files"], route_class=JSONRoute)

_FORM = {
    "type": "object",
    "required": ["file", "purpose"],
    "properties": {
        "file": {"type": "string", "format": "binary"},
        "purpose": {"type": "string", "enum": list(PURPOSES)},
        "expires_after[anchor]": {"type": "string", "enum": ["created_at"]},
        "expires_after[seconds]": {"type": "integer", "minimum": 3600, "maximum": 2592000},
    },
}


class FileListParams(ListParams):
    """The parameters of listFiles."""

    limit: Annotated[int, Field(ge=1, le=10_000)] = 10_000
    purpose: str | None = None


@router.post(
    "",
    operation_id="createFile",
    openapi_extra={"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": _FORM}}}},
)
async def create_file(request: Request, house: House) -> File:
    """Upload a file, streamed to disk; what breaks off leaves nothing."""
    file_id = await house.database.read(lambda session: crud.chosen_id(session, tables.File, "file", None))
    content_type = request.headers.get("content-type", "")
    async with house.storage.incoming(file_id) as target:
        upload = await form_upload.receive(content_type, request.stream(), target, MAX_BYTES)
        row = _row(file_id, upload)

    def work(session: Session) -> File:
        session.add(row)
        session.flush()
        return File.model_validate(row)

    return await house.database.write(work)


@router.get("", operation_id="listFiles")
async def list_files(params: Annotated[FileListParams, Query()], house: House) -> ListPage[File]:
    """List files."""

    def work(session: Session) -> ListPage[File]:
        conditions = [tables.File.purpose == params.purpose] if params.purpose else []
        return crud.list_page(session, tables.File, params, File, *conditions)

    return await house.database.read(work)


@router.get("/{file_id}", operation_id="retrieveFile")
async def retrieve_file(file_id: str, house: House) -> File:
    """Retrieve a file's object."""
    return await house.database.read(
        lambda session: File.model_validate(crud.get_or_404(session, tables.File, file_id))
    )


@router.delete("/{file_id}", operation_id="deleteFile")
async def delete_file(file_id: str, house: House) -> Deleted:
    """Delete a file, also from every tool's resources and every vector store."""
    await remove(house, file_id)
    return Deleted(id=file_id, object="file")


@router.get("/{file_id}/content", operation_id="downloadFile", response_class=FileResponse)
async def retrieve_content(file_id: str, house: House) -> FileResponse:
    """Download a file, unless its purpose forbids it as it did at the hosted API."""
    file = await retrieve_file(file_id, house)
    if file.purpose in NO_DOWNLOAD:
        raise BadRequestError(f"Not allowed to download files of purpose: {file.purpose}")
    if not await to_thread.run_sync(house.storage.path(file_id).exists):
        raise FileNotFoundAPIError(file_id)
    return FileResponse(house.storage.path(file_id), media_type="application/octet-stream", filename=file.filename)


async def remove(house: Services, file_id: str) -> None:
    """Delete a file with its content, out of every tool resource and every vector store [D]. Raises NotFoundError."""

    def work(session: Session) -> list[int]:
        crud.delete_row(session, crud.get_or_404(session, tables.File, file_id))
        detach_file(session, file_id)
        return vector_stores.detach_file(session, file_id)

    members = await house.database.write(work)
    await house.ingestion.forget_file(file_id, members)
    await house.storage.delete(file_id)


def _row(file_id: str, upload: Upload) -> tables.File:
    purpose = upload.fields.get("purpose")
    if purpose is None:
        raise missing_parameter("purpose")
    if purpose not in PURPOSES:
        raise BadRequestError(f"'{purpose}' is not one of {list(PURPOSES)} - 'purpose'")
    if upload.filename is None:
        raise missing_parameter("file")
    now = clock.now()
    return tables.File(
        id=file_id,
        created_at=now,
        purpose=purpose,
        filename=upload.filename,
        bytes=upload.size,
        expires_at=_expires_at(upload, now),
    )


def _expires_at(upload: Upload, now: int) -> int | None:
    anchor, seconds = (upload.fields.get(f"expires_after[{name}]") for name in ("anchor", "seconds"))
    if anchor is None and seconds is None:
        return None
    if anchor != "created_at":
        raise BadRequestError(
            f"Invalid value: '{anchor}'. Value must be 'created_at'.",
            param="expires_after[anchor]",
            code="invalid_value",
        )
    if seconds is None:
        raise missing_parameter("expires_after[seconds]")
    if not seconds.isdecimal() or len(seconds) > 9 or not 3600 <= int(seconds) <= 2_592_000:
        raise BadRequestError(
            f"Invalid 'expires_after[seconds]': expected a value from 3600 to 2592000, but got {seconds} instead.",
            param="expires_after[seconds]",
            code="invalid_value",
        )
    return now + int(seconds)
