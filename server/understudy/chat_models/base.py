"""What the run engine asks of a language model, and what it gets back."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

FinishReason = Literal["stop", "length", "tool_calls", "content_filter"]
ErrorCode = Literal["server_error", "rate_limit_exceeded", "invalid_prompt"]
JSON = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One model call, in the terms of Chat Completions.

    `messages`, `tools`, `tool_choice` and `response_format` are Chat Completions JSON. What is None or empty was not
    asked for and is not sent.
    """

    model: str
    messages: list[JSON]
    tools: list[JSON] = field(default_factory=list)
    tool_choice: str | JSON | None = None
    parallel_tool_calls: bool | None = None
    response_format: JSON | None = None
    temperature: float | None = None
    top_p: float | None = None
    reasoning_effort: str | None = None
    max_completion_tokens: int | None = None
    code_interpreter: str | None = None
    """Name under which the code interpreter is among `tools`, None where it is not."""
    code_files: tuple[str, ...] = ()
    """Names of the files that lie in the code interpreter's /mnt/data."""
    file_search: str | None = None
    """Name under which the file search is among `tools`, None where it is not."""
    vector_stores: tuple[str, ...] = ()
    """Ids of the vector stores that the file search reads."""
    caller_key: str | None = None
    """API key of the client that started the run; only a pass-through upstream uses it."""
    run_id: str | None = None
    """The run that the call belongs to; None for a chat completion."""
    assistant_id: str | None = None
    assistant_name: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    """The run's, over its thread's, over its assistant's."""
    position: JSON | None = None
    """What the model's last `Position` in this run said."""


@dataclass(frozen=True, slots=True)
class TextDelta:
    """A piece of the answer's text."""

    text: str


@dataclass(frozen=True, slots=True)
class RefusalDelta:
    """A piece of a refusal, which stands in the answer's place."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """A piece of the tool call at `index` (counted from 0 within one model call).

    The first delta of an index carries `name`; every delta may carry a piece of the JSON `arguments`. `outputs` are
    what a call of the code interpreter shows instead of running: texts as logs, bytes as images.
    """

    index: int
    id: str | None = None
    name: str | None = None
    arguments: str = ""
    outputs: tuple[str | bytes, ...] | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one model call, or the sum of several."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cached_tokens + other.cached_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
        )


@dataclass(frozen=True, slots=True)
class Finish:
    """The last delta of a model call. `usage` is None where the model does not report it."""

    reason: FinishReason
    usage: Usage | None = None


@dataclass(frozen=True, slots=True)
class Position:
    """Where the model stands in the run; it gets that back with the run's next call, also after a restart."""

    state: JSON


Delta = TextDelta | RefusalDelta | ToolCallDelta | Position | Finish


class ChatModelError(Exception):
    """A model call failed; `code` is the run's `last_error.code`, the text its message."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class ChatModel(Protocol):
    """A language model."""

    @property
    def backend(self) -> str:
        """`upstream`, `cassette`, `script`, `offline` or `auto`: as `/health` and `x-understudy-model` say it."""
        ...

    def stream(self, request: ChatRequest) -> AsyncGenerator[Delta, None]:
        """Yield the answer's deltas, `Finish` last; raise ChatModelError where there is none."""
        ...

    async def list_models(self, caller_key: str | None) -> list[JSON]:
        """The models served, as objects of the API's model list."""
        ...

    async def aclose(self) -> None:
        """Give back connections."""
        ...
