"""What every wire object shares: strict request bodies, objects read from rows, metadata, lists."""

from dataclasses import dataclass
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    StringConstraints,
    TypeAdapter,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

JSON = dict[str, Any]
T = TypeVar("T")

Metadata = Annotated[
    dict[
        Annotated[str, StringConstraints(max_length=64)],
        Annotated[str, StringConstraints(max_length=512)],
    ],
    Field(max_length=16),
]


Id = Annotated[str, StringConstraints(max_length=512)]
"""An id that a request names: what is longer is none, and would be repeated in the answer and the log."""


class Body(BaseModel):
    """A request body: no coercion, no unknown parameters; an explicit null counts as absent."""

    model_config = ConfigDict(extra="forbid", strict=True)


def _all_there(schema: JSON) -> None:
    # Pydantic calls a field optional that has a default.
    schema["required"] = list(schema["properties"])


class Object(BaseModel):
    """An object of the API, read from a row of its table; all its fields are always there."""

    model_config = ConfigDict(from_attributes=True, json_schema_extra=_all_there)


@dataclass(frozen=True, slots=True)
class Shape:
    """What a field looks like that a row holds as it was checked when it was written: documented, not checked again."""

    type: Any

    def __get_pydantic_json_schema__(self, _unchecked: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """The schema of the shape in place of that of the field."""
        return handler(TypeAdapter(self.type).core_schema)


def metadata_field() -> Any:
    """A response's `metadata`: the column is `metadata_`, as `metadata` is SQLAlchemy's own."""
    return Field(default_factory=dict, validation_alias=AliasChoices("metadata_", "metadata"))


ShownAsOne = Annotated[float, BeforeValidator(lambda value: 1.0 if value is None else value)]
"""Temperature and top_p: where they were not set, the wire says 1.0 and the model is not told."""


class ListParams(BaseModel):
    """The cursor parameters of a list."""

    limit: Annotated[int, Field(ge=1, le=100)] = 20
    order: Literal["asc", "desc"] = "desc"
    after: str | None = None
    before: str | None = None


class ListPage(Object, Generic[T]):
    """One page of a list."""

    object: Literal["list"] = "list"
    data: list[T]
    first_id: str | None
    last_id: str | None
    has_more: bool


class Deleted(Object):
    """What a deletion answers."""

    id: str
    object: str
    deleted: Literal[True] = True
