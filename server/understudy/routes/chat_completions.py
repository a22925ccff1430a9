"""/chat/completions, answered by the server's own model where there is no upstream to pass them on to."""

from collections.abc import AsyncIterator
from typing import Any

import orjson
from fastapi import APIRouter, Response
from fastapi.responses import StreamingResponse
from starlette.routing import Match
from starlette.types import Scope

from understudy import clock
from understudy.chat_models.base import (
    JSON,
    ChatModel,
    ChatModelError,
    ChatRequest,
    Finish,
    Position,
    RefusalDelta,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from understudy.errors import APIError, BadRequestError, InternalServerError, RateLimitError
from understudy.ids import new_id
from understudy.json_route import JSONRoute
from understudy.schemas.chat_completions import ChatCompletionCreate
from understudy.schemas.tools import echoed
from understudy.services import CallerKey, House, services_of

Shown = TextDelta | RefusalDelta | ToolCallDelta | Finish
_ERRORS: dict[str, type[APIError]] = {"rate_limit_exceeded": RateLimitError, "invalid_prompt": BadRequestError}


class _OwnAnswer(JSONRoute):
    """A route that is not there where an upstream converses: the proxy takes what it leaves."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        match, child_scope = super().matches(scope)
        if match != Match.NONE and services_of(scope).chat_model.backend in ("upstream", "cassette"):
            return Match.NONE, {}
        return match, child_scope


router = APIRouter(prefix="/v1", tags=["Chat"], include_in_schema=False, route_class=_OwnAnswer)


@router.post("/chat/completions", operation_id="createChatCompletion")
async def create_chat_completion(body: ChatCompletionCreate, house: House, caller_key: CallerKey) -> Response:
    """Create a chat completion, whole or streamed."""
    request = _request(body, caller_key)
    deltas = await _deltas(house.chat_model, request)
    if not body.stream:
        completion = _whole(deltas, request.model, body.n or 1)
        return Response(orjson.dumps(completion), media_type="application/json")
    include_usage = bool(body.stream_options and body.stream_options.include_usage)
    events = _events(deltas, request.model, body.n or 1, include_usage)
    return StreamingResponse(events, media_type="text/event-stream", headers={"cache-control": "no-cache"})


def _request(body: ChatCompletionCreate, caller_key: str | None) -> ChatRequest:
    response_format = echoed(body.response_format)
    return ChatRequest(
        model=body.model,
        messages=body.chat_messages(),
        tools=[tool.model_dump(exclude_unset=True) for tool in body.tools or []],
        tool_choice=echoed(body.tool_choice),
        parallel_tool_calls=body.parallel_tool_calls,
        response_format=response_format if isinstance(response_format, dict) else None,
        temperature=body.temperature,
        top_p=body.top_p,
        max_completion_tokens=body.max_completion_tokens or body.max_tokens,
        caller_key=caller_key,
    )


async def _deltas(chat_model: ChatModel, request: ChatRequest) -> list[Shown]:
    """The whole answer: the choices are alike, and an error has a status of its own. Raises APIError."""
    try:
        return [delta async for delta in chat_model.stream(request) if not isinstance(delta, Position)]
    except ChatModelError as error:
        raise _ERRORS.get(error.code, InternalServerError)(error.message, code=error.code) from error


def _whole(deltas: list[Shown], model: str, count: int) -> JSON:
    choices, total = [], Usage()
    for index in range(count):
        message: JSON = {"role": "assistant", "content": None, "refusal": None, "annotations": []}
        finish = Finish("stop")
        for delta in deltas:
            if isinstance(delta, Finish):
                finish = delta
            else:
                _add(message, _shown(delta))
        total = _sum(total, finish.usage)
        choices.append({"index": index, "message": message, "logprobs": None, "finish_reason": finish.reason})
    return {**_head("chat.completion", model), "choices": choices, "usage": _usage(total)}


def _add(message: JSON, shown: JSON) -> None:
    for name, value in shown.items():
        if name != "tool_calls":
            message[name] = (message[name] or "") + value
            continue
        calls = message.setdefault("tool_calls", [])
        for piece in value:
            if piece["index"] == len(calls):
                calls.append({name: part for name, part in piece.items() if name != "index"})
            else:
                calls[piece["index"]]["function"]["arguments"] += piece["function"]["arguments"]


async def _events(deltas: list[Shown], model: str, count: int, include_usage: bool) -> AsyncIterator[bytes]:
    head = _head("chat.completion.chunk", model)
    # With the usage asked for, every chunk has the field, and a last one without choices has its value.
    rest: JSON = {"usage": None} if include_usage else {}
    total = Usage()
    for index in range(count):
        choice: JSON = {"index": index, "logprobs": None, "finish_reason": None}
        first = {"role": "assistant", "content": "", "refusal": None}
        yield _event({**head, "choices": [{**choice, "delta": first}], **rest})
        for delta in deltas:
            if isinstance(delta, Finish):
                total = _sum(total, delta.usage)
                choice["finish_reason"] = delta.reason
            shown = {} if isinstance(delta, Finish) else _shown(delta)
            yield _event({**head, "choices": [{**choice, "delta": shown}], **rest})
    if include_usage:
        yield _event({**head, "choices": [], "usage": _usage(total)})
    yield b"data: [DONE]\n\n"


def _event(chunk: JSON) -> bytes:
    return b"data: " + orjson.dumps(chunk) + b"\n\n"


def _head(kind: str, model: str) -> JSON:
    return {
        "id": new_id("chatcmpl").replace("_", "-", 1),
        "object": kind,
        "created": clock.now(),
        "model": model,
        "service_tier": "default",
        "system_fingerprint": None,
    }


def _shown(delta: Shown) -> dict[str, Any]:
    """A delta in the words of Chat Completions."""
    match delta:
        case TextDelta(text):
            return {"content": text}
        case RefusalDelta(text):
            return {"refusal": text}
        case Finish():
            return {}
    function: JSON = {"arguments": delta.arguments}
    if delta.name is None:
        return {"tool_calls": [{"index": delta.index, "function": function}]}
    function = {"name": delta.name, **function}
    return {
        "tool_calls": [
            {"index": delta.index, "id": delta.id or new_id("call"), "type": "function", "function": function}
        ]
    }


def _sum(total: Usage, usage: Usage | None) -> Usage:
    """The usage with one more choice: they share the prompt."""
    usage = usage or Usage()
    return Usage(
        usage.prompt_tokens,
        total.completion_tokens + usage.completion_tokens,
        usage.cached_tokens,
        total.reasoning_tokens + usage.reasoning_tokens,
    )


def _usage(total: Usage) -> JSON:
    return {
        "prompt_tokens": total.prompt_tokens,
        "completion_tokens": total.completion_tokens,
        "total_tokens": total.prompt_tokens + total.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": total.cached_tokens, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": total.reasoning_tokens,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
