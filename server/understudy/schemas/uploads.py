"""Uploads: a file that arrives in parts."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints

from understudy.schemas.base import Body, Id, Object
from understudy.schemas.files import File, FileExpiresAfter, Purpose

MAX_BYTES = 8 * 1024**3


class UploadCreate(Body):
    """The body of createUpload."""

    bytes: Annotated[int, Field(ge=0, le=MAX_BYTES)]
    filename: Annotated[str, StringConstraints(min_length=1, max_length=1024)]
    mime_type: str
    purpose: Purpose
    expires_after: FileExpiresAfter | None = None


class UploadComplete(Body):
    """The body of completeUpload: the parts in their order."""

    part_ids: list[Id]
    md5: Annotated[str | None, StringConstraints(pattern="^[0-9A-Fa-f]{32}$")] = None


class Upload(Object):
    """An upload. `file` is what it has become, and there once it is completed."""

    model_config = ConfigDict(json_schema_extra=lambda schema: schema["required"].append("object"))

    id: str
    object: Literal["upload"] = "upload"
    bytes: int
    created_at: int
    filename: str
    purpose: str
    status: Literal["pending", "completed", "cancelled", "expired"]
    expires_at: int
    file: File | None = None


class UploadPart(Object):
    """A part of an upload."""

    id: str
    object: Literal["upload.part"] = "upload.part"
    created_at: int
    upload_id: str
