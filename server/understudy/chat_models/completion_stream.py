"""The streamed answer of a Chat Completions server, from bytes to deltas, with what servers leave out filled in."""

from collections.abc import AsyncIterator

import anyio
import httpx
import orjson

from understudy.chat_models.base import (
    JSON,
    Delta,
    Finish,
    FinishReason,
    RefusalDelta,
    TextDelta,
    ToolCallDelta,
    Usage,
)

_DRAIN_SECONDS = 0.05
_DONE = b"[DONE]"
_LONGEST_EVENT = 32 * 1024**2
_LONGEST_ANSWER = 256 * 1024**2
_MOST_TOKENS = 2**31 - 1


class BrokenAnswerError(Exception):
    """An answer that cannot be read; the text goes on after the upstream's name."""


async def payloads(response: httpx.Response) -> AsyncIterator[bytes]:
    """The answer's events, `[DONE]` last, or the one JSON object of a server that does not stream.

    Raises BrokenAnswerError for an event or an answer beyond all measure.
    """
    whole = "json" in response.headers.get("content-type", "")
    pieces: list[bytes] = []
    held = received = 0
    contents = response.aiter_bytes()
    async for content in contents:
        held, received = held + len(content), received + len(content)
        if held > _LONGEST_EVENT or received > _LONGEST_ANSWER:
            raise BrokenAnswerError("sends more than an answer can be.")
        pieces.append(content)
        if whole or not (b"\n" in content or b"\r" in content):
            continue
        # Split at CR and LF only: str.splitlines also breaks at U+2028, which JSON strings may hold.
        lines = b"".join(pieces).replace(b"\r", b"\n").split(b"\n")
        rest = lines.pop()
        pieces, held = [rest], len(rest)
        for line in lines:
            if payload := _payload(line):
                yield payload
            if payload == _DONE:
                # Read to the very end, so that the connection can be used again.
                with anyio.move_on_after(_DRAIN_SECONDS):
                    async for _ in contents:
                        pass
                return
    rest = b"".join(pieces)
    if payload := rest if whole else _payload(rest):
        yield payload
    if whole:
        yield _DONE


def _payload(line: bytes) -> bytes:
    return line[5:].strip() if line.startswith(b"data:") else b""


def _shown(payload: bytes) -> str:
    return payload[:200].decode("utf-8", "replace")


def _parse(payload: bytes) -> JSON:
    try:
        chunk = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise BrokenAnswerError(f"sent what is not JSON: {_shown(payload)}") from error
    if not isinstance(chunk, dict):
        raise BrokenAnswerError(f"sent what is not a completion: {_shown(payload)}")
    if fault := chunk.get("error"):
        message = fault.get("message", fault) if isinstance(fault, dict) else fault
        raise BrokenAnswerError(f"broke off its answer: {message}")
    return chunk


class CompletionReader:
    """Events to deltas, also of servers that omit tool calls' ids or indexes, finish reasons or usage."""

    def __init__(self) -> None:
        self._reason: FinishReason | None = None
        self._usage: Usage | None = None
        self._calls: list[_OpenCall] = []
        self._done = False

    def read(self, payload: bytes) -> list[Delta]:
        """The deltas of one event. Raises BrokenAnswerError where it is no piece of a completion."""
        if payload == _DONE:
            self._done = True
            return []
        try:
            return self._read(_parse(payload))
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise BrokenAnswerError(f"sent what is not a completion: {_shown(payload)}") from error

    def _read(self, chunk: JSON) -> list[Delta]:
        if usage := chunk.get("usage"):
            self._usage = _usage(usage)
        choices = chunk.get("choices")
        if not choices:
            return []
        choice = choices[0]
        # A server that does not stream says `message` where others say `delta`.
        delta = choice.get("delta") or choice.get("message") or {}
        if reason := choice.get("finish_reason"):
            self._reason = _REASONS.get(str(reason), "stop")
        deltas: list[Delta] = []
        if text := delta.get("content"):
            deltas.append(TextDelta(text if isinstance(text, str) else _joined(text)))
        if refusal := delta.get("refusal"):
            deltas.append(RefusalDelta(_string(refusal)))
        for position, call in enumerate(delta.get("tool_calls") or []):
            deltas += self._tool_call(call, position)
        return deltas

    def finish(self) -> Finish:
        """The end. Raises BrokenAnswerError where the stream ended before the answer did."""
        if self._reason is None and not self._done:
            raise BrokenAnswerError("ended its answer half-way.")
        return Finish("tool_calls" if self._calls and self._reason == "stop" else self._reason or "stop", self._usage)

    def _tool_call(self, call: JSON, position: int) -> list[Delta]:
        function = call.get("function") or {}
        arguments = function.get("arguments") or ""
        if not isinstance(arguments, str):
            arguments = orjson.dumps(arguments).decode()
        open_call = self._find(call, function, position)
        if open_call.named:
            return [ToolCallDelta(open_call.number, arguments=arguments)] if arguments else []
        open_call.id = open_call.id or _string(call.get("id") or "")
        open_call.name += _string(function.get("name") or "")
        open_call.arguments += arguments
        if not open_call.name:
            return []
        open_call.named = True
        return [ToolCallDelta(open_call.number, open_call.id, open_call.name, open_call.arguments)]

    def _find(self, call: JSON, function: JSON, position: int) -> "_OpenCall":
        """The call that a piece belongs to: by index, else by id, else a new one where a name begins."""
        key = call.get("index")
        if key is None:
            key = call.get("id") or None
            if key is None and self._calls and not function.get("name"):
                return self._calls[-1]
            if key is None:
                key = ("unnamed", len(self._calls), position)
        for open_call in reversed(self._calls):
            if open_call.key == key and not _restarts(open_call, call, function):
                return open_call
        self._calls.append(_OpenCall(key, len(self._calls)))
        return self._calls[-1]


class _OpenCall:
    """A tool call that streams in; `key` is what the server tells it by."""

    __slots__ = ("arguments", "id", "key", "name", "named", "number")

    def __init__(self, key: object, number: int) -> None:
        self.key = key
        self.number = number
        self.id: str | None = None
        self.name = ""
        self.arguments = ""
        self.named = False


def _restarts(open_call: _OpenCall, call: JSON, function: JSON) -> bool:
    """Whether a piece under a known index begins another call: some servers give every call the index 0."""
    return bool(
        open_call.named and function.get("name") and call.get("id") and open_call.id and call["id"] != open_call.id
    )


_REASONS: dict[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}


def _joined(parts: list[JSON]) -> str:
    return "".join(part if isinstance(part, str) else part.get("text") or "" for part in parts)


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected a string, got {value!r}")
    return value


def _usage(usage: JSON) -> Usage:
    prompt, completion = usage.get("prompt_tokens_details") or {}, usage.get("completion_tokens_details") or {}
    return Usage(
        _count(usage, "prompt_tokens"),
        _count(usage, "completion_tokens"),
        _count(prompt, "cached_tokens"),
        _count(completion, "reasoning_tokens"),
    )


def _count(usage: JSON, name: str) -> int:
    return min(max(int(usage.get(name) or 0), 0), _MOST_TOKENS)
