"""Files: what was uploaded, and what the code interpreter left."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

PURPOSES = ("fine-tune", "assistants", "batch", "user_data", "vision", "evals")
NO_DOWNLOAD = ("assistants", "vision", "user_data")


class File(BaseModel):
    """A file, fields in the recorded order."""

    model_config = ConfigDict(from_attributes=True)

    object: Literal["file"] = "file"
    id: str
    purpose: str
    filename: str
    bytes: int
    created_at: int
    expires_at: int | None
    status: Literal["uploaded", "processed", "error"]
    status_details: str | None
