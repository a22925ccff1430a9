"""/files."""

from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Query, Request
from pydantic import Field
from sqlalchemy.orm import Session
from starlette.responses import FileResponse

from understudy import clock, crud, form_upload, refusals, tables, vector_stores
from understudy.file_storage import MAX_BYTES
from understudy.form_upload import Form
from understudy.json_route import JSONRoute
from understudy.schemas.base import JSON, ListPage, ListParams
from understudy.schemas.files import NO_DOWNLOAD, PURPOSES, File, FileCreate, FileDeleted, FileExpiresAfter
from understudy.services import House, Services
from understudy.tool_resources import detach_file

router = APIRouter(prefix="/v1/files", tags=["Files"], route_class=JSONRoute)

_BATCH_SECONDS = 30 * 24 * 3600
_SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["file", "purpose"],
    "properties": {
        "file": {"type": "string", "format": "binary"},
        "purpose": {"type": "string", "enum": list(PURPOSES)},
        "expires_after": FileExpiresAfter.model_json_schema(),
        "id": {"type": "string", "description": "A free id of your choice, such as `file-abc`; not the hosted API's."},
    },
}
_BYTES = {"schema": {"type": "string", "format": "binary"}}
_CONTENT: dict[int | str, JSON] = {200: {"content": {"application/octet-stream": _BYTES}}}
# The clients write an object's fields as `expires_after[anchor]`.
_FORM = {"schema": _SCHEMA, "encoding": {"expires_after": {"style": "deepObject", "explode": True}}}


class FileListParams(ListParams):
    """The parameters of listFiles."""

    limit: Annotated[int, Field(ge=1, le=10_000)] = 10_000
    purpose: str | None = None


@router.post(
    "",
    operation_id="createFile",
    openapi_extra={"requestBody": {"required": True, "content": {"multipart/form-data": _FORM}}},
)
async def create_file(request: Request, house: House) -> File:
    """Upload a file, streamed to disk; what breaks off leaves nothing."""
    content_type = request.headers.get("content-type", "")
    async with house.storage.arriving() as target:
        form = await form_upload.receive(content_type, request.stream(), target, MAX_BYTES)
        wanted, filename = _wanted(form)

        def work(session: Session) -> File:
            row = new_row(
                crud.chosen_id(session, tables.File, "file", wanted.id),
                filename,
                form.size,
                wanted.purpose,
                wanted.expires_after,
            )
            session.add(row)
            session.flush()
            house.storage.keep(target, row.id)
            return File.model_validate(row)

        return await house.database.write(work)


@router.get("", operation_id="listFiles")
async def list_files(params: Annotated[FileListParams, Query()], house: House) -> ListPage[File]:
    """List files."""
    purpose = params.purpose or None
    return await house.database.read(
        lambda session: crud.list_page(session, tables.File, params, File, purpose=purpose)
    )


@router.get("/{file_id}", operation_id="retrieveFile")
async def retrieve_file(file_id: str, house: House) -> File:
    """Retrieve a file's object."""
    return await house.database.read(
        lambda session: File.model_validate(crud.get_or_404(session, tables.File, file_id))
    )


@router.delete("/{file_id}", operation_id="deleteFile")
async def delete_file(file_id: str, house: House) -> FileDeleted:
    """Delete a file, also from every tool's resources and every vector store."""
    await remove(house, file_id)
    return FileDeleted(id=file_id)


@router.get("/{file_id}/content", operation_id="downloadFile", response_class=FileResponse, responses=_CONTENT)
async def retrieve_content(file_id: str, house: House) -> FileResponse:
    """Download a file, unless its purpose forbids it as it did at the hosted API."""
    file = await retrieve_file(file_id, house)
    if file.purpose in NO_DOWNLOAD:
        raise refusals.NO_DOWNLOAD(purpose=file.purpose)
    if not await to_thread.run_sync(house.storage.path(file_id).exists):
        raise refusals.FILE_NOT_FOUND(id=file_id)
    return FileResponse(house.storage.path(file_id), media_type="application/octet-stream", filename=file.filename)


async def remove(house: Services, file_id: str) -> None:
    """Delete a file with its content, out of every tool resource and every vector store [D]. Raises NotFoundError."""

    def work(session: Session) -> list[int]:
        crud.delete_row(session, crud.get_or_404(session, tables.File, file_id))
        detach_file(session, file_id)
        return vector_stores.detach_file(session, file_id)

    def unlink(session: Session) -> None:
        # Once the row is gone for good, and unless a new file has been given the id since.
        if crud.is_free(session, tables.File, file_id):
            house.storage.path(file_id).unlink(missing_ok=True)

    members = await house.database.write(work)
    await house.database.write(unlink)
    await house.ingestion.forget_file(file_id, members)


def new_row(
    file_id: str, filename: str, size: int, purpose: str, expires_after: FileExpiresAfter | None
) -> tables.File:
    """The row of a file that is made now; those for batches expire unless told otherwise [S]."""
    now = clock.now()
    seconds = expires_after.seconds if expires_after else _BATCH_SECONDS if purpose == "batch" else None
    return tables.File(
        id=file_id,
        created_at=now,
        purpose=purpose,
        filename=filename,
        bytes=size,
        expires_at=None if seconds is None else now + seconds,
    )


def _wanted(form: Form) -> tuple[FileCreate, str]:
    """What the form asks for, and the file's name."""
    purpose = form.fields.get("purpose")
    if purpose is None:
        raise refusals.MISSING(param="purpose")
    if purpose not in PURPOSES:
        raise refusals.WRONG_PURPOSE(purpose=purpose, purposes=list(PURPOSES))
    if form.filename is None:
        raise refusals.MISSING(param="file")
    return form.validated(FileCreate), form.filename
