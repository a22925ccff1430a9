"""Files: what was uploaded, and what the code interpreter left."""

from typing import Annotated, Literal, get_args

from pydantic import Field

from understudy.schemas.base import Body, Deleted, Id, Object, Shape

Purpose = Literal["fine-tune", "assistants", "batch", "user_data", "vision", "evals"]
PURPOSES = get_args(Purpose)
NO_DOWNLOAD = ("assistants", "vision", "user_data")


class FileExpiresAfter(Body):
    """When a file expires: so many seconds after it was made."""

    anchor: Literal["created_at"]
    seconds: Annotated[int, Field(ge=3600, le=2_592_000)]


class FileCreate(Body):
    """The fields of createFile's form; `id` chooses a free id (ours, not the hosted API's)."""

    id: Id | None = None
    purpose: Purpose
    expires_after: FileExpiresAfter | None = None


class File(Object):
    """A file, fields in the recorded order."""

    object: Literal["file"] = "file"
    id: str
    purpose: Annotated[str, Shape(Literal[Purpose, "assistants_output"])]
    filename: str
    bytes: int
    created_at: int
    expires_at: int | None
    status: Literal["uploaded", "processed", "error"]
    status_details: str | None


class FileDeleted(Deleted):
    """What deleteFile answers [R]."""

    object: Literal["file"] = "file"
