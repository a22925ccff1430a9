"""Models that are served."""

from typing import Literal

from pydantic import BaseModel


class Model(BaseModel):
    """A model."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str
