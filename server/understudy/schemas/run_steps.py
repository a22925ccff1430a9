"""Run steps: the messages and tool calls that a run consists of."""

from typing import Annotated, Any, ClassVar, Literal, NotRequired

from pydantic import Field, model_validator
from typing_extensions import TypedDict

from understudy.schemas.base import JSON, ListParams, Object, Shape, metadata_field
from understudy.schemas.vector_store_files import Attributes, TextContent

Include = Literal["step_details.tool_calls[*].file_search.results[*].content"]
"""The only value of `include[]`."""


class ListStepsParams(ListParams):
    """The query parameters of listRunSteps."""

    include: Annotated[list[Include] | None, Field(alias="include[]")] = None


class PromptTokens(TypedDict):
    """The prompt's tokens by kind."""

    cached_tokens: int


class CompletionTokens(TypedDict):
    """The completion's tokens by kind."""

    reasoning_tokens: int


class Usage(TypedDict):
    """Tokens that a step, or a run, has used."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_token_details: PromptTokens
    completion_tokens_details: CompletionTokens


class MessageId(TypedDict):
    """The message that a step made."""

    message_id: str


class MessageCreation(TypedDict):
    """A step that made a message."""

    type: Literal["message_creation"]
    message_creation: MessageId


class CodeLogs(TypedDict):
    """Text that the code printed."""

    type: Literal["logs"]
    logs: str


class ImageId(TypedDict):
    """The file of an image."""

    file_id: str


class CodeImage(TypedDict):
    """An image that the code showed."""

    type: Literal["image"]
    image: ImageId


class Code(TypedDict):
    """Code and what it put out."""

    input: str
    outputs: list[Annotated[CodeLogs | CodeImage, Field(discriminator="type")]]


class CodeInterpreterCall(TypedDict):
    """A call of the code interpreter."""

    id: str
    type: Literal["code_interpreter"]
    code_interpreter: Code


class SearchRanking(TypedDict):
    """How the passages were ranked."""

    ranker: Literal["auto", "default_2024_08_21"]
    score_threshold: float


class FoundPassage(TypedDict):
    """A passage that file search found; `content` where `include[]` asks for it."""

    file_id: str
    file_name: str
    score: float
    attributes: Attributes
    content: NotRequired[list[TextContent]]


class Search(TypedDict):
    """What file search found."""

    ranking_options: SearchRanking
    results: list[FoundPassage]


class FileSearchCall(TypedDict):
    """A call of file search."""

    id: str
    type: Literal["file_search"]
    file_search: Search


class CalledFunction(TypedDict):
    """The function that is called, and the client's answer once it is there."""

    name: str
    arguments: str
    output: str | None


class FunctionCall(TypedDict):
    """A call of a function, which the client answers."""

    id: str
    type: Literal["function"]
    function: CalledFunction


ToolCall = Annotated[CodeInterpreterCall | FileSearchCall | FunctionCall, Field(discriminator="type")]


class ToolCalls(TypedDict):
    """A step that called tools."""

    type: Literal["tool_calls"]
    tool_calls: list[ToolCall]


StepDetails = Annotated[MessageCreation | ToolCalls, Field(discriminator="type")]


class StepError(TypedDict):
    """Why a step failed."""

    code: Literal["server_error", "rate_limit_exceeded"]
    message: str


class RunStep(Object):
    """A run step, the recorded fields in their order, then those of the document that were never sent."""

    id: str
    object: Literal["thread.run.step"] = "thread.run.step"
    created_at: int
    run_id: str
    assistant_id: str
    thread_id: str
    type: Literal["message_creation", "tool_calls"]
    status: Literal["in_progress", "cancelled", "failed", "completed", "expired"]
    cancelled_at: int | None
    completed_at: int | None
    expired_at: int | None
    expires_at: int | None
    failed_at: int | None
    last_error: Annotated[JSON | None, Shape(StepError | None)]
    step_details: Annotated[JSON, Shape(StepDetails)]
    usage: Annotated[JSON | None, Shape(Usage | None)]
    metadata: dict[str, str] = metadata_field()

    _with_content: ClassVar[bool] = False

    @model_validator(mode="after")
    def _as_on_the_wire(self) -> "RunStep":
        """`usage` shows once the step has ended, `expires_at` until then."""
        if self.status == "in_progress":
            self.usage = None
        else:
            self.expires_at = None
        if self.type == "tool_calls":
            calls = [_shown(call, with_content=self._with_content) for call in self.step_details["tool_calls"]]
            self.step_details = {"type": "tool_calls", "tool_calls": calls}
        return self


class RunStepWithContent(RunStep):
    """A run step that shows the text of what file search found, as `include[]` asks for."""

    _with_content: ClassVar[bool] = True


def run_step(include: list[Include] | None) -> type[RunStep]:
    """What a run step looks like with this `include[]`."""
    return RunStepWithContent if include else RunStep


def _shown(call: JSON, *, with_content: bool) -> JSON:
    """A tool call without what the row keeps for the model."""
    if call["type"] != "file_search":
        return call
    results: list[dict[str, Any]] = call["file_search"]["results"]
    if not with_content:
        results = [{name: value for name, value in result.items() if name != "content"} for result in results]
    search = {"ranking_options": call["file_search"]["ranking_options"], "results": results}
    return call | {"file_search": search}


class CodeLogsDelta(CodeLogs):
    """Text that the code printed, at its place in the outputs."""

    index: int


class CodeImageDelta(CodeImage):
    """An image that the code showed, at its place in the outputs."""

    index: int


class CodePiece(TypedDict, total=False):
    """A piece of code, or an output."""

    input: str
    outputs: list[Annotated[CodeLogsDelta | CodeImageDelta, Field(discriminator="type")]]


class CodeInterpreterCallDelta(TypedDict):
    """A piece of a call of the code interpreter; the first has the `id`."""

    index: int
    id: NotRequired[str]
    type: Literal["code_interpreter"]
    code_interpreter: CodePiece


class FileSearchCallDelta(FileSearchCall):
    """A call of file search; its results come with the completed step [R]."""

    index: int


class CalledFunctionPiece(TypedDict):
    """A piece of the arguments; the first has the name."""

    name: NotRequired[str]
    arguments: str
    output: NotRequired[str | None]


class FunctionCallDelta(TypedDict):
    """A piece of a call of a function; the first has the `id`."""

    index: int
    id: NotRequired[str]
    type: Literal["function"]
    function: CalledFunctionPiece


class ToolCallsDelta(TypedDict):
    """What is added to the step's calls."""

    type: Literal["tool_calls"]
    tool_calls: list[
        Annotated[CodeInterpreterCallDelta | FileSearchCallDelta | FunctionCallDelta, Field(discriminator="type")]
    ]


class StepDetailsDelta(TypedDict):
    """What is added to the step's details."""

    step_details: ToolCallsDelta


class RunStepDelta(TypedDict):
    """A piece of a run step, as a stream brings it."""

    id: str
    object: Literal["thread.run.step.delta"]
    delta: StepDetailsDelta
