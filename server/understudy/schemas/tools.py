"""Tools and what goes with them: resources, choice, response format, truncation."""

from typing import Annotated, Any, Literal, NotRequired

from pydantic import Discriminator, Field, StringConstraints, Tag, model_validator
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

from understudy import refusals
from understudy.schemas.base import JSON, Body, Id, Metadata
from understudy.schemas.vector_store_files import ChunkingStrategy


class CodeInterpreterTool(Body):
    """`{"type": "code_interpreter"}`."""

    type: Literal["code_interpreter"]


class HybridSearch(Body):
    """How much meaning and words count for."""

    embedding_weight: Annotated[float, Field(ge=0)]
    text_weight: Annotated[float, Field(ge=0)]

    @model_validator(mode="after")
    def _something_counts(self) -> "HybridSearch":
        if self.embedding_weight == self.text_weight == 0:
            raise PydanticCustomError(
                "no_weight", "at least one of 'embedding_weight' and 'text_weight' must be above 0"
            )
        return self


class RankingOptions(Body):
    """How a run's file search ranks."""

    ranker: Literal["auto", "default_2024_08_21"] | None = None
    score_threshold: Annotated[float, Field(ge=0, le=1)]
    hybrid_search: HybridSearch | None = None


class FileSearch(Body):
    """Settings of a file search tool."""

    max_num_results: Annotated[int | None, Field(ge=1, le=50)] = None
    ranking_options: RankingOptions | None = None


class FileSearchTool(Body):
    """`{"type": "file_search"}`."""

    type: Literal["file_search"]
    file_search: FileSearch | None = None


FunctionIdentifier = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9_-]+$", max_length=64)]


class Function(Body):
    """A function that the client runs."""

    name: FunctionIdentifier
    description: str | None = None
    parameters: JSON | None = None
    strict: bool | None = None


class FunctionTool(Body):
    """`{"type": "function", "function": {…}}`."""

    type: Literal["function"]
    function: Function


Tool = Annotated[CodeInterpreterTool | FileSearchTool | FunctionTool, Field(discriminator="type")]


class AttachmentTool(Body):
    """A tool that an attachment is for."""

    type: Literal["code_interpreter", "file_search"]


class RankingOptionsEcho(TypedDict):
    """How a run's file search ranks, as it is echoed."""

    ranker: Literal["auto", "default_2024_08_21"]
    score_threshold: float
    hybrid_search: HybridSearch | None


class FileSearchEcho(TypedDict):
    """Settings of a file search tool, as they are echoed."""

    max_num_results: NotRequired[int]
    ranking_options: NotRequired[RankingOptionsEcho]


class FileSearchToolEcho(TypedDict):
    """A file search tool, as it is echoed."""

    type: Literal["file_search"]
    file_search: NotRequired[FileSearchEcho]


class FunctionEcho(TypedDict):
    """A function that the client runs, as it is echoed."""

    name: str
    description: NotRequired[str]
    parameters: JSON
    strict: bool


class FunctionToolEcho(TypedDict):
    """A function tool, as it is echoed."""

    type: Literal["function"]
    function: FunctionEcho


ToolEcho = Annotated[CodeInterpreterTool | FileSearchToolEcho | FunctionToolEcho, Field(discriminator="type")]


def normalised(tools: list[Any] | None) -> list[JSON]:
    """Tools as the API echoes them [R].

    Functions get `parameters` and `strict`, ranking options `hybrid_search` and the ranker that `auto` stands for.
    """
    return [_normalised(tool) for tool in tools or []]


def _normalised(tool: Any) -> JSON:
    if isinstance(tool, FunctionTool):
        function: JSON = {"name": tool.function.name}
        if tool.function.description is not None:
            function["description"] = tool.function.description
        function["parameters"] = tool.function.parameters or {"type": "object", "properties": {}}
        function["strict"] = bool(tool.function.strict)
        return {"type": "function", "function": function}
    echoed: JSON = tool.model_dump(exclude_none=True)
    if isinstance(tool, FileSearchTool) and tool.file_search and (ranking := tool.file_search.ranking_options):
        ranker = "default_2024_08_21" if ranking.ranker in (None, "auto") else ranking.ranker
        echoed["file_search"]["ranking_options"] = ranking.model_dump() | {"ranker": ranker}
    return echoed


class CodeInterpreterResources(Body):
    """Files at the code interpreter's hand."""

    file_ids: Annotated[list[Id] | None, Field(max_length=20)] = None


class NewVectorStore(Body):
    """A vector store made inline."""

    file_ids: Annotated[list[Id] | None, Field(max_length=10_000)] = None
    chunking_strategy: ChunkingStrategy | None = None
    metadata: Metadata | None = None


class FileSearchResources(Body):
    """The vector store that file search reads."""

    vector_store_ids: Annotated[list[str] | None, Field(max_length=1)] = None
    vector_stores: Annotated[list[NewVectorStore] | None, Field(max_length=1)] = None


class ToolResources(Body):
    """What the built-in tools work on."""

    code_interpreter: CodeInterpreterResources | None = None
    file_search: FileSearchResources | None = None


class CodeInterpreterResourcesEcho(TypedDict):
    """Files at the code interpreter's hand, as they are echoed."""

    file_ids: list[str]


class FileSearchResourcesEcho(TypedDict):
    """The vector store that file search reads, as it is echoed."""

    vector_store_ids: list[str]


class ToolResourcesEcho(TypedDict):
    """What the built-in tools work on, as it is echoed."""

    code_interpreter: NotRequired[CodeInterpreterResourcesEcho]
    file_search: NotRequired[FileSearchResourcesEcho]


class FunctionName(Body):
    """The function that a tool choice forces."""

    name: str


class NamedToolChoice(Body):
    """A tool choice that forces one tool."""

    type: Literal["function", "code_interpreter", "file_search"]
    function: FunctionName | None = None

    @model_validator(mode="after")
    def _function_is_named(self) -> "NamedToolChoice":
        if self.type == "function" and self.function is None:
            raise refusals.MISSING(param="tool_choice.function")
        return self


def choice_kind(value: Any) -> str:
    """Whether a choice or format is a mode, such as `auto`, or an object that names something."""
    return "mode" if isinstance(value, str) else "named"


ToolChoice = Annotated[
    Annotated[Literal["none", "auto", "required"], Tag("mode")] | Annotated[NamedToolChoice, Tag("named")],
    Discriminator(choice_kind),
]


class TextFormat(Body):
    """`{"type": "text"}`."""

    type: Literal["text"]


class JSONObjectFormat(Body):
    """`{"type": "json_object"}`."""

    type: Literal["json_object"]


class JSONSchema(Body):
    """A named schema for the answer."""

    name: str
    description: str | None = None
    schema_: Annotated[JSON | None, Field(alias="schema")] = None
    strict: bool | None = None


class JSONSchemaFormat(Body):
    """`{"type": "json_schema", "json_schema": {…}}`."""

    type: Literal["json_schema"]
    json_schema: JSONSchema


ResponseFormat = Annotated[
    Annotated[Literal["auto"], Tag("mode")]
    | Annotated[Annotated[TextFormat | JSONObjectFormat | JSONSchemaFormat, Field(discriminator="type")], Tag("named")],
    Discriminator(choice_kind),
]


class TruncationStrategy(Body):
    """Which of the thread's messages the model sees."""

    type: Literal["auto", "last_messages"]
    last_messages: Annotated[int | None, Field(ge=1, le=2**31 - 1)] = None

    @model_validator(mode="after")
    def _last_messages_is_given(self) -> "TruncationStrategy":
        if self.type == "last_messages" and self.last_messages is None:
            raise refusals.MISSING(param="truncation_strategy.last_messages")
        return self


class NamedToolChoiceEcho(TypedDict):
    """A tool choice that forces one tool, as it is echoed."""

    type: Literal["function", "code_interpreter", "file_search"]
    function: NotRequired[FunctionName]


ToolChoiceEcho = Literal["none", "auto", "required"] | NamedToolChoiceEcho


class JSONSchemaEcho(TypedDict):
    """A named schema for the answer, as it is echoed."""

    name: str
    description: NotRequired[str]
    schema: NotRequired[JSON]
    strict: NotRequired[bool]


class JSONSchemaFormatEcho(TypedDict):
    """A schema for the answer, as it is echoed."""

    type: Literal["json_schema"]
    json_schema: JSONSchemaEcho


ResponseFormatEcho = (
    Literal["auto"] | Annotated[TextFormat | JSONObjectFormat | JSONSchemaFormatEcho, Field(discriminator="type")]
)


class TruncationStrategyEcho(TypedDict):
    """Which of the thread's messages the model sees, as it is echoed."""

    type: Literal["auto", "last_messages"]
    last_messages: int | None


def echoed(value: Any) -> Any:
    """A tool choice, response format or truncation strategy as it is stored and echoed."""
    if value is None or isinstance(value, str):
        return value
    return value.model_dump(by_alias=True, exclude_none=True)
