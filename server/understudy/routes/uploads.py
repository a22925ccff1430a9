"""/uploads: a file that arrives in parts."""

from typing import Any

from fastapi import APIRouter, Request
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from understudy import clock, crud, form_upload, refusals, tables
from understudy.ids import new_id
from understudy.json_route import JSONRoute
from understudy.routes.files import new_row
from understudy.schemas.base import Body
from understudy.schemas.files import File, FileExpiresAfter
from understudy.schemas.uploads import MAX_BYTES, Upload, UploadComplete, UploadCreate, UploadPart
from understudy.services import House, Services

router = APIRouter(prefix="/v1/uploads", tags=["Uploads"], route_class=JSONRoute)

_LIFETIME = 3600
_MAX_PART_BYTES = 64 * 1024**2
_FORM = {
    "schema": {
        "type": "object",
        "additionalProperties": False,
        "required": ["data"],
        "properties": {"data": {"type": "string", "format": "binary"}},
    }
}


@router.post("", operation_id="createUpload", response_model_exclude={"file"})
async def create_upload(body: UploadCreate, house: House) -> Upload:
    """Begin an upload, which has an hour to be completed."""
    now = clock.now()
    row = tables.Upload(
        id=new_id("upload"),
        created_at=now,
        expires_at=now + _LIFETIME,
        filename=body.filename,
        purpose=body.purpose,
        bytes=body.bytes,
        expires_after=body.expires_after.model_dump() if body.expires_after else None,
    )

    def work(session: Session) -> Upload:
        session.add(row)
        session.flush()
        return Upload.model_validate(row)

    return await house.database.write(work)


@router.post(
    "/{upload_id}/parts",
    operation_id="addUploadPart",
    openapi_extra={"requestBody": {"required": True, "content": {"multipart/form-data": _FORM}}},
)
async def create_part(upload_id: str, request: Request, house: House) -> UploadPart:
    """Add a part, streamed to disk; several may come at once."""
    await house.database.read(lambda session: _pending(session, upload_id, "add parts to"))
    content_type = request.headers.get("content-type", "")
    async with house.storage.arriving() as target:
        form = await form_upload.receive(content_type, request.stream(), target, _MAX_PART_BYTES, "data")
        if form.filename is None:
            raise refusals.MISSING(param="data")
        form.validated(Body)

        def work(session: Session) -> UploadPart:
            _pending(session, upload_id, "add parts to")
            if sum(_sizes(session, upload_id).values()) + form.size > MAX_BYTES:
                raise refusals.PARTS_TOO_LARGE(upload=upload_id, most=MAX_BYTES // 1024**3)
            row = tables.UploadPart(id=new_id("part"), upload_id=upload_id, created_at=clock.now(), bytes=form.size)
            session.add(row)
            session.flush()
            house.storage.keep(target, row.id)
            return UploadPart.model_validate(row)

        return await house.database.write(work)


@router.post("/{upload_id}/complete", operation_id="completeUpload")
async def complete_upload(upload_id: str, body: UploadComplete, house: House) -> Upload:
    """Make a file of the parts in the given order: the whole of it, or nothing."""
    await house.database.read(lambda session: _check_parts(session, upload_id, body.part_ids))
    async with house.storage.arriving() as target:
        try:
            md5 = await house.storage.join(body.part_ids, target)
        except FileNotFoundError:
            # It has been completed or cancelled, or it has expired, since the look at its parts.
            await house.database.read(lambda session: _pending(session, upload_id, "complete"))
            raise
        if body.md5 is not None and body.md5.lower() != md5:
            raise refusals.WRONG_MD5(got=md5, expected=body.md5)

        def work(session: Session) -> tuple[Upload, list[str]]:
            row = _pending(session, upload_id, "complete")
            expires_after = FileExpiresAfter.model_validate(row.expires_after) if row.expires_after else None
            file = new_row(new_id("file"), row.filename, row.bytes, row.purpose, expires_after)
            session.add(file)
            part_ids = _end(session, row, "completed")
            house.storage.keep(target, file.id)
            return Upload.model_validate(row).model_copy(update={"file": File.model_validate(file)}), part_ids

        upload, part_ids = await house.database.write(work)
    await house.storage.delete(*part_ids)
    return upload


@router.post("/{upload_id}/cancel", operation_id="cancelUpload", response_model_exclude={"file"})
async def cancel_upload(upload_id: str, house: House) -> Upload:
    """Cancel an upload; its parts are gone."""

    def work(session: Session) -> tuple[Upload, list[str]]:
        row = _pending(session, upload_id, "cancel")
        part_ids = _end(session, row, "cancelled")
        return Upload.model_validate(row), part_ids

    upload, part_ids = await house.database.write(work)
    await house.storage.delete(*part_ids)
    return upload


async def expire_due(house: Services) -> None:
    """End the pending uploads whose hour is over; their parts are gone."""

    def work(session: Session) -> list[str]:
        return [part_id for row in session.scalars(_due()).all() for part_id in _end(session, row, "expired")]

    if await house.database.read(lambda session: session.scalars(_due().limit(1)).first()) is not None:
        await house.storage.delete(*await house.database.write(work))


def _due() -> Any:
    upload = tables.Upload
    return select(upload).where(upload.status == "pending", upload.expires_at <= clock.now()).with_for_update()


def _pending(session: Session, upload_id: str, deed: str) -> tables.Upload:
    """The upload, locked on PostgreSQL. Raises NotFoundError, and BadRequestError where it is not pending any more."""
    row = session.scalars(select(tables.Upload).where(tables.Upload.id == upload_id).with_for_update()).first()
    if row is None:
        raise crud.not_found(tables.Upload, upload_id)
    status = "expired" if row.status == "pending" and row.expires_at <= clock.now() else row.status
    if status != "pending":
        raise refusals.UPLOAD_NOT_PENDING(deed=deed, status=status)
    return row


def _check_parts(session: Session, upload_id: str, part_ids: list[str]) -> None:
    """Raises BadRequestError where the parts are not those of the upload, or do not make up its bytes."""
    expected = _pending(session, upload_id, "complete").bytes
    sizes = _sizes(session, upload_id)
    for number, part_id in enumerate(part_ids):
        if not part_id.startswith("part"):
            raise refusals.NO_ID(param=f"part_ids[{number}]", value=part_id, prefix="part")
        if part_id not in sizes:
            raise refusals.NO_SUCH_PART(param=f"part_ids[{number}]", id=part_id, upload=upload_id)
    if len(set(part_ids)) < len(part_ids):
        raise refusals.PART_TWICE(given=part_ids)
    got = sum(sizes[part_id] for part_id in part_ids)
    if got != expected:
        raise refusals.WRONG_SIZE(got=got, expected=expected)


def _sizes(session: Session, upload_id: str) -> dict[str, int]:
    part = tables.UploadPart
    return dict(session.execute(select(part.id, part.bytes).where(part.upload_id == upload_id)).all())


def _end(session: Session, row: tables.Upload, status: str) -> list[str]:
    """The upload is over: its parts, whose contents are to be deleted after the commit."""
    part_ids = list(_sizes(session, row.id))
    session.connection().execute(delete(tables.UploadPart).where(tables.UploadPart.upload_id == row.id))
    row.status = status
    session.add(row)
    session.flush()
    return part_ids
