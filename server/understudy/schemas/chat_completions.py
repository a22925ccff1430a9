"""Chat completions, as far as the server answers them itself."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, StringConstraints, Tag

from understudy.schemas.base import JSON, Body
from understudy.schemas.tools import FunctionName, FunctionTool, ResponseFormat, choice_kind


class _Part(BaseModel):
    # The hosted API's bodies have many more fields than count here.
    model_config = ConfigDict(extra="allow", strict=True)


class ContentPart(_Part):
    """A part of a message."""

    type: str


class CalledFunction(_Part):
    """The function that a tool call names."""

    name: str
    arguments: str


class ToolCall(_Part):
    """A call that an earlier answer made."""

    id: str
    type: str
    function: CalledFunction | None = None


def _kind(value: Any) -> str:
    return "text" if isinstance(value, str) else "parts"


Content = Annotated[
    Annotated[str, Tag("text")] | Annotated[list[ContentPart], Tag("parts")],
    Discriminator(_kind),
]


class ChatMessage(_Part):
    """A message of the conversation."""

    role: Literal["developer", "system", "user", "assistant", "tool", "function"]
    content: Content | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None


class StreamOptions(_Part):
    """What a stream tells besides."""

    include_usage: bool | None = None


class FunctionChoice(Body):
    """A tool choice that forces one function."""

    type: Literal["function"]
    function: FunctionName


ToolChoice = Annotated[
    Annotated[Literal["none", "auto", "required"], Tag("mode")] | Annotated[FunctionChoice, Tag("named")],
    Discriminator(choice_kind),
]


class ChatCompletionCreate(BaseModel):
    """A request for a chat completion; what has no field here is ignored."""

    model_config = ConfigDict(strict=True)

    model: Annotated[str, StringConstraints(max_length=512)]
    messages: Annotated[list[ChatMessage], Field(min_length=1)]
    n: Annotated[int | None, Field(ge=1, le=128)] = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    tools: Annotated[list[FunctionTool] | None, Field(max_length=128)] = None
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    temperature: Annotated[float | None, Field(ge=0, le=2)] = None
    top_p: Annotated[float | None, Field(ge=0, le=1)] = None
    max_completion_tokens: Annotated[int | None, Field(ge=1)] = None
    max_tokens: Annotated[int | None, Field(ge=1)] = None

    def chat_messages(self) -> list[JSON]:
        """The messages, without what is null."""
        return [message.model_dump(exclude_none=True) for message in self.messages]
