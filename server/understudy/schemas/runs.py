"""Runs: an assistant at work on a thread."""

from typing import Annotated, Literal

from pydantic import Field, model_validator
from typing_extensions import TypedDict

from understudy.schemas.assistants import ReasoningEffort, Temperature, TopP
from understudy.schemas.base import JSON, Body, Metadata, Object, Shape, ShownAsOne, metadata_field
from understudy.schemas.messages import MessageCreate
from understudy.schemas.run_steps import Usage
from understudy.schemas.threads import ThreadCreate
from understudy.schemas.tools import (
    ResponseFormat,
    ResponseFormatEcho,
    Tool,
    ToolChoice,
    ToolChoiceEcho,
    ToolEcho,
    ToolResources,
    ToolResourcesEcho,
    TruncationStrategy,
    TruncationStrategyEcho,
)

MOST_TOKENS = 2**31 - 1
ACTIVE = frozenset(("queued", "in_progress", "requires_action", "cancelling"))

RunStatus = Literal[
    "queued",
    "in_progress",
    "requires_action",
    "cancelling",
    "cancelled",
    "failed",
    "completed",
    "incomplete",
    "expired",
]


class RunSettings(Body):
    """What createRun and createThreadAndRun have in common."""

    assistant_id: str
    model: str | None = None
    instructions: Annotated[str | None, Field(max_length=256_000)] = None
    reasoning_effort: ReasoningEffort | None = None
    tools: Annotated[list[Tool] | None, Field(max_length=20)] = None
    metadata: Metadata | None = None
    temperature: Temperature | None = None
    top_p: TopP | None = None
    stream: bool | None = None
    # The document says at least 256, the hosted API accepted 16 [R].
    max_prompt_tokens: Annotated[int | None, Field(ge=1, le=MOST_TOKENS)] = None
    max_completion_tokens: Annotated[int | None, Field(ge=1, le=MOST_TOKENS)] = None
    truncation_strategy: TruncationStrategy | None = None
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None


class RunCreate(RunSettings):
    """The body of createRun."""

    additional_instructions: str | None = None
    additional_messages: list[MessageCreate] | None = None


class ThreadAndRunCreate(RunSettings):
    """The body of createThreadAndRun."""

    thread: ThreadCreate | None = None
    tool_resources: ToolResources | None = None


class RunUpdate(Body):
    """The body of modifyRun."""

    metadata: Metadata | None = None


class ToolOutput(Body):
    """What a function answered."""

    tool_call_id: str
    output: str | None = None


class ToolOutputsSubmit(Body):
    """The body of submitToolOutputsToRun."""

    tool_outputs: list[ToolOutput]
    stream: bool | None = None


class WaitingFunction(TypedDict):
    """A function and its arguments."""

    name: str
    arguments: str


class WaitingCall(TypedDict):
    """A call that waits for the client's answer."""

    id: str
    type: Literal["function"]
    function: WaitingFunction


class WaitingCalls(TypedDict):
    """The calls that submitToolOutputsToRun has to answer, all at once."""

    tool_calls: list[WaitingCall]


class RequiredAction(TypedDict):
    """What a run waits for."""

    type: Literal["submit_tool_outputs"]
    submit_tool_outputs: WaitingCalls


class RunError(TypedDict):
    """Why a run failed."""

    code: Literal["server_error", "rate_limit_exceeded", "invalid_prompt"]
    message: str


class IncompleteRun(TypedDict):
    """Which budget a run has used up."""

    reason: Literal["max_completion_tokens", "max_prompt_tokens"]


class Run(Object):
    """A run, fields in the recorded order."""

    id: str
    object: Literal["thread.run"] = "thread.run"
    created_at: int
    assistant_id: str
    thread_id: str
    status: RunStatus
    started_at: int | None
    expires_at: int | None
    cancelled_at: int | None
    failed_at: int | None
    completed_at: int | None
    required_action: Annotated[JSON | None, Shape(RequiredAction | None)]
    last_error: Annotated[JSON | None, Shape(RunError | None)]
    model: str
    instructions: str | None
    tools: Annotated[list[JSON], Shape(list[ToolEcho])]
    tool_resources: Annotated[JSON, Shape(ToolResourcesEcho)]
    metadata: dict[str, str] = metadata_field()
    temperature: ShownAsOne
    top_p: ShownAsOne
    reasoning_effort: Annotated[str | None, Shape(ReasoningEffort | None)]
    max_completion_tokens: int | None
    max_prompt_tokens: int | None
    truncation_strategy: Annotated[JSON, Shape(TruncationStrategyEcho)]
    incomplete_details: Annotated[JSON | None, Shape(IncompleteRun | None)]
    usage: Annotated[JSON | None, Shape(Usage | None)]
    response_format: Annotated[JSON | str, Shape(ResponseFormatEcho)]
    tool_choice: Annotated[JSON | str, Shape(ToolChoiceEcho)]
    parallel_tool_calls: bool

    @model_validator(mode="after")
    def _as_on_the_wire(self) -> "Run":
        """`usage` shows once the run has ended, `expires_at` until then [R]."""
        if self.status in ACTIVE:
            self.usage = None
        else:
            self.expires_at = None
        return self
