"""What happened in a namespace: the requests that came, and the calls of the language model."""

from collections import deque
from dataclasses import dataclass, field
from typing import Any

import orjson
from starlette.types import Message, Receive, Scope

from understudy import clock
from understudy.schemas.base import JSON

_KEPT = 10_000
_LONGEST_BODY = 256 * 1024


@dataclass(slots=True)
class RequestEntry:
    """A request and how it was answered."""

    method: str
    path: str
    query: str
    at: int
    """Seconds since the epoch, of the namespace's time."""
    status: int | None = None
    """None where there was no answer."""
    fault: JSON | None = None
    """The fault that struck it."""
    body: Any = None
    """The JSON of the request, as far as it was read and is not too long."""


@dataclass(slots=True)
class ModelCallEntry:
    """A call of the language model."""

    run_id: str | None
    model: str
    messages: list[JSON]
    tools: list[JSON]
    at: int
    answer: str = ""
    """The text of the answer."""
    tool_calls: list[JSON] = field(default_factory=list)
    """Names and arguments, as JSON text."""
    error: str | None = None
    unmatched: bool = False
    """Whether no rule of the script matched, and nothing else was to answer."""
    rule: int | None = None
    """Which rule of the script matched, from 1; `line` is where it stands."""
    line: int | None = None
    misses: list[JSON] = field(default_factory=list)
    """Why each rule before it, or every rule, did not match."""


class Journal:
    """The latest of both."""

    def __init__(self) -> None:
        self.requests: deque[RequestEntry] = deque(maxlen=_KEPT)
        self.model_calls: deque[ModelCallEntry] = deque(maxlen=_KEPT)

    def note(self, scope: Scope) -> RequestEntry:
        """Enter a request."""
        query: bytes = scope["query_string"]
        entry = RequestEntry(scope["method"], scope["path"], query.decode("ascii", "replace"), clock.now())
        self.requests.append(entry)
        return entry


def reading(entry: RequestEntry, receive: Receive) -> Receive:
    """Receive a request's body, and enter it once it is whole."""
    content = bytearray()

    async def receive_and_note() -> Message:
        message = await receive()
        if message["type"] == "http.request" and len(content) <= _LONGEST_BODY:
            content.extend(message.get("body", b""))
            if not message.get("more_body") and len(content) <= _LONGEST_BODY:
                entry.body = _parsed(bytes(content))
        return message

    return receive_and_note


def _parsed(content: bytes) -> Any:
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        return None
