"""Models that are served."""

from typing import Literal

from understudy.schemas.base import Deleted, Object


class Model(Object):
    """A model."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str


class ModelList(Object):
    """All models that are known by name; this list has no pages."""

    object: Literal["list"] = "list"
    data: list[Model]


class ModelDeleted(Deleted):
    """What deleteModel would answer."""

    object: Literal["model"] = "model"
