"""A vector store's files: what they were cut into, and what the client says about them."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, StringConstraints, Tag, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticKnownError
from typing_extensions import TypedDict

from understudy.schemas.base import JSON, Body, Deleted, Id, ListParams, Object, Shape

_LONGEST_CHUNK = 4096


class StaticChunking(Body):
    """Chunks of so many tokens, each of which repeats the end of the one before."""

    max_chunk_size_tokens: Annotated[int, Field(ge=100, le=_LONGEST_CHUNK)]
    chunk_overlap_tokens: Annotated[int, Field(ge=0)]

    @field_validator("chunk_overlap_tokens")
    @classmethod
    def _at_most_half(cls, value: int, info: ValidationInfo) -> int:
        half = info.data.get("max_chunk_size_tokens", _LONGEST_CHUNK) // 2
        if value > half:
            raise PydanticKnownError("less_than_equal", {"le": half})
        return value


class AutoChunkingStrategy(Body):
    """`{"type": "auto"}`: chunks of 800 tokens that overlap by 400."""

    type: Literal["auto"]


class StaticChunkingStrategy(Body):
    """`{"type": "static", "static": {…}}`."""

    type: Literal["static"]
    static: StaticChunking


Strategy = AutoChunkingStrategy | StaticChunkingStrategy
ChunkingStrategy = Annotated[Strategy, Field(discriminator="type")]
AUTO = StaticChunking(max_chunk_size_tokens=800, chunk_overlap_tokens=400)


def chunking(strategy: Strategy | None) -> StaticChunking:
    """What a strategy comes to."""
    return strategy.static if isinstance(strategy, StaticChunkingStrategy) else AUTO


def _kind(value: Any) -> str | None:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return "text" if isinstance(value, str) else None


AttributeValue = Annotated[
    Annotated[bool, Tag("boolean")]
    | Annotated[int | float, Tag("number")]
    | Annotated[str, StringConstraints(max_length=512), Tag("text")],
    Discriminator(_kind, "wrong_type", "one of a string, number, or boolean"),
]
Attributes = Annotated[
    dict[Annotated[str, StringConstraints(max_length=64)], AttributeValue],
    Field(max_length=16),
]


class VectorStoreFileCreate(Body):
    """The body of createVectorStoreFile, and the files inside a batch."""

    file_id: Id
    attributes: Attributes | None = None
    chunking_strategy: ChunkingStrategy | None = None


class VectorStoreFileUpdate(Body):
    """The body of updateVectorStoreFileAttributes; null takes all attributes away."""

    attributes: Attributes | None


FileStatus = Literal["in_progress", "completed", "failed", "cancelled"]


class FileListParams(ListParams):
    """The parameters of listVectorStoreFiles and listFilesInVectorStoreBatch."""

    filter: FileStatus | None = None


class VectorStoreFileError(TypedDict):
    """Why a file could not be read."""

    code: Literal["server_error", "unsupported_file", "invalid_file"]
    message: str


class VectorStoreFile(Object):
    """A vector store's file, fields in the recorded order."""

    id: str
    object: Literal["vector_store.file"] = "vector_store.file"
    usage_bytes: int
    created_at: int
    vector_store_id: str
    status: FileStatus
    last_error: Annotated[JSON | None, Shape(VectorStoreFileError | None)]
    chunking_strategy: Annotated[JSON, Shape(StaticChunkingStrategy)]
    attributes: Annotated[JSON, Shape(Attributes)]

    @model_validator(mode="before")
    @classmethod
    def _with_its_strategy(cls, row: Any) -> Any:
        """`auto` is echoed as what it comes to [R]."""
        static = {name: getattr(row, name) for name in ("max_chunk_size_tokens", "chunk_overlap_tokens")}
        names = ("id", "usage_bytes", "created_at", "vector_store_id", "status", "last_error", "attributes")
        return {name: getattr(row, name) for name in names} | {
            "chunking_strategy": {"type": "static", "static": static}
        }


class VectorStoreFileDeleted(Deleted):
    """What deleteVectorStoreFile answers."""

    object: Literal["vector_store.file.deleted"] = "vector_store.file.deleted"


class TextContent(Object):
    """Text of a file, or of a passage in it."""

    type: Literal["text"] = "text"
    text: str


class FileContentPage(Object):
    """A file's text; there is one page."""

    object: Literal["vector_store.file_content.page"] = "vector_store.file_content.page"
    data: list[TextContent]
    has_more: bool = False
    next_page: str | None = None
