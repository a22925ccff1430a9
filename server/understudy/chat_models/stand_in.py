"""What models that are none have in common: reading the conversation, and answering in pieces."""

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Iterator

from understudy.chat_models.base import JSON, ChatRequest, Delta, Finish, TextDelta, ToolCallDelta, Usage

_READ_LENGTH = 256_000  # what a message may have; chat completions have no such limit
_ARGUMENT_PIECES = 6


async def streamed(request: ChatRequest, calls: list[tuple[str, JSON]], text: str) -> AsyncGenerator[Delta, None]:
    """The deltas of an answer that makes these calls (names and arguments), or where there are none says the text."""
    deltas: list[TextDelta | ToolCallDelta] = []
    deltas += _call_deltas(calls) if calls else _text_deltas(text)
    limit = request.max_completion_tokens
    for delta in deltas[:limit]:
        yield delta
        await asyncio.sleep(0)  # let the reader send it before the next one comes
    cut = limit is not None and len(deltas) > limit
    yield Finish("length" if cut else "tool_calls" if calls else "stop", _usage(request, deltas[:limit]))


def _text_deltas(text: str) -> Iterator[TextDelta]:
    for piece in re.findall(r"\S+\s*|\s+", text):
        yield TextDelta(piece)


def _call_deltas(calls: list[tuple[str, JSON]]) -> Iterator[ToolCallDelta]:
    for index, (name, values) in enumerate(calls):
        yield ToolCallDelta(index, name=name)
        arguments = json.dumps(values, ensure_ascii=False)
        size = max(16, -(-len(arguments) // _ARGUMENT_PIECES))
        for start in range(0, len(arguments), size):
            yield ToolCallDelta(index, arguments=arguments[start : start + size])


def _usage(request: ChatRequest, deltas: list[TextDelta | ToolCallDelta]) -> Usage:
    """About four characters to a token, and never more than was allowed."""
    prompt = sum(len(text_of(message)) + len(str(message.get("tool_calls") or "")) for message in request.messages)
    written = "".join(delta.text if isinstance(delta, TextDelta) else delta.arguments for delta in deltas)
    completion = max(1, len(written) // 4)
    limit = request.max_completion_tokens
    return Usage(max(1, prompt // 4), completion if limit is None else min(completion, limit))


# What it is asked


def parts(message: JSON, kind: str) -> list[JSON]:
    """The parts of that type that a message's content has."""
    content = message.get("content")
    if isinstance(content, str):
        content = [{"type": "text", "text": content}]
    return [part for part in content or [] if part.get("type") == kind]


def text_of(message: JSON) -> str:
    """A message's text."""
    return "\n".join(str(part.get("text", "")) for part in parts(message, "text"))[:_READ_LENGTH]


def last_turn(request: ChatRequest) -> tuple[JSON, list[JSON]]:
    """The last user message and what came after it."""
    for index in range(len(request.messages) - 1, -1, -1):
        if request.messages[index].get("role") == "user":
            return request.messages[index], request.messages[index + 1 :]
    return {}, request.messages


def tool_outputs(request: ChatRequest) -> list[tuple[JSON, str]]:
    """The function calls since the last user message that have been answered, each with its output."""
    _, after = last_turn(request)
    made = {call.get("id"): call.get("function", {}) for message in after for call in message.get("tool_calls") or []}
    return [
        (made.get(message.get("tool_call_id"), {}), text_of(message))
        for message in after
        if message.get("role") == "tool"
    ]


def user_functions(request: ChatRequest) -> dict[str, JSON]:
    """The user's functions by name."""
    definitions = [tool["function"] for tool in request.tools if "function" in tool]
    built_in = (request.code_interpreter, request.file_search)
    return {function["name"]: function for function in definitions if function["name"] not in built_in}
