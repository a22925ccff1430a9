"""Vector stores: files that can be searched, and the search."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, StringConstraints, Tag, field_validator
from pydantic_core import PydanticCustomError

from understudy.schemas.base import JSON, Body, Deleted, Id, Metadata, Object, Shape, metadata_field
from understudy.schemas.tools import HybridSearch
from understudy.schemas.vector_store_files import Attributes, ChunkingStrategy, TextContent

MAX_FILES = 500
Name = Annotated[str | None, Field(max_length=256)]


class ExpiresAfter(Body):
    """When a store expires: so many days after it was last used."""

    anchor: Literal["last_active_at"]
    days: Annotated[int, Field(ge=1, le=365)]


class VectorStoreUpdate(Body):
    """The body of modifyVectorStore: what is absent stays; `expires_after: null` takes the expiry away."""

    name: Name = None
    expires_after: ExpiresAfter | None = None
    metadata: Metadata | None = None


class VectorStoreCreate(VectorStoreUpdate):
    """The body of createVectorStore; `id` chooses a free id (ours, not the hosted API's)."""

    id: Id | None = None
    description: Annotated[str | None, Field(max_length=512)] = None
    file_ids: Annotated[list[Id] | None, Field(max_length=MAX_FILES)] = None
    chunking_strategy: ChunkingStrategy | None = None


class FileCounts(Object):
    """Files by what became of them."""

    in_progress: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    total: int = 0


class VectorStore(Object):
    """A vector store, fields in the recorded order."""

    id: str
    object: Literal["vector_store"] = "vector_store"
    created_at: int
    name: str | None
    description: str | None
    usage_bytes: int = 0
    file_counts: FileCounts = FileCounts()
    status: Literal["expired", "in_progress", "completed"]
    expires_after: Annotated[JSON | None, Shape(ExpiresAfter | None)]
    expires_at: int | None
    last_active_at: int | None
    metadata: dict[str, str] = metadata_field()


class VectorStoreDeleted(Deleted):
    """What deleteVectorStore answers."""

    object: Literal["vector_store.deleted"] = "vector_store.deleted"


Scalar = str | bool | int | float
_MOST_VALUES = 10_000
_MOST_FILTERS = 100


FilterValue = Scalar | Annotated[list[Scalar], Field(max_length=_MOST_VALUES)]


class ComparisonFilter(Body):
    """Compares one attribute of a file with a value."""

    type: Literal["eq", "ne", "gt", "gte", "lt", "lte", "in", "nin"]
    key: Annotated[str, StringConstraints(max_length=64)]
    value: Annotated[Any, Shape(FilterValue)]

    @field_validator("value")
    @classmethod
    def _fits_the_type(cls, value: Any, info: Any) -> Any:
        if info.data.get("type") in ("in", "nin"):
            if not isinstance(value, list):
                raise PydanticCustomError("list_type", "an array is needed")
            if len(value) > _MOST_VALUES:
                raise PydanticCustomError("filter_value", f"at most {_MOST_VALUES} values are compared")
            scalars = value
        else:
            scalars = [value]
        if not all(isinstance(scalar, Scalar) for scalar in scalars):
            raise PydanticCustomError("filter_value", "expected strings, numbers and booleans")
        return value


class CompoundFilter(Body):
    """Several filters, all or one of which must hold."""

    type: Literal["and", "or"]
    filters: 'Annotated[list["Filter"], Field(max_length=_MOST_FILTERS)]'


def _kind(value: Any) -> str:
    return "compound" if isinstance(value, dict) and value.get("type") in ("and", "or") else "comparison"


Filter = Annotated[
    Annotated[ComparisonFilter, Tag("comparison")] | Annotated[CompoundFilter, Tag("compound")],
    Discriminator(_kind),
]
CompoundFilter.model_rebuild()


class SearchRankingOptions(Body):
    """How the results are ranked, and the score below which they are left out."""

    ranker: Literal["none", "auto", "default-2024-11-15", "default_2024_08_21"] | None = None
    score_threshold: Annotated[float | None, Field(ge=0, le=1)] = None
    hybrid_search: HybridSearch | None = None


QueryText = Annotated[str, StringConstraints(min_length=1, max_length=4096)]


def _query_kind(value: Any) -> str | None:
    return "several" if isinstance(value, list) else "one" if isinstance(value, str) else None


class VectorStoreSearch(Body):
    """The body of searchVectorStore."""

    query: Annotated[
        Annotated[QueryText, Tag("one")]
        | Annotated[list[QueryText], Field(min_length=1, max_length=32), Tag("several")],
        Discriminator(_query_kind, "wrong_type", "one of a string or array of strings"),
    ]
    rewrite_query: bool | None = None
    max_num_results: Annotated[int | None, Field(ge=1, le=50)] = None
    filters: Filter | None = None
    ranking_options: SearchRankingOptions | None = None

    @property
    def queries(self) -> list[str]:
        """One or several."""
        return self.query if isinstance(self.query, list) else [self.query]


class SearchResultItem(Object):
    """A passage that was found."""

    file_id: str
    filename: str
    score: float
    attributes: Attributes
    content: list[TextContent]


class SearchResultsPage(Object):
    """What a search found, best first; there is one page."""

    object: Literal["vector_store.search_results.page"] = "vector_store.search_results.page"
    search_query: list[str]
    data: list[SearchResultItem]
    has_more: bool = False
    next_page: str | None = None
