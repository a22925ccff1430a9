"""What this server does not own under /v1 goes to the upstream, and its answer comes back, both as they stream."""

import logging
import math
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TypeVar

import anyio
import httpx
import orjson
from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from understudy import refusals
from understudy.chat_models.base import ChatModelError
from understudy.errors import APIError, BadGatewayError
from understudy.json_route import JSONRoute
from understudy.services import CallerKey, House
from understudy.settings import KNOWN_UPSTREAMS, PASS_THROUGH, Settings

T = TypeVar("T")

log = logging.getLogger("understudy")
router = APIRouter(prefix="/v1", include_in_schema=False, route_class=JSONRoute)

_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
_OWNED = frozenset(("assistants", "threads", "vector_stores", "files", "uploads", "models"))
# `--model` names a model that converses: embeddings, speech and the like keep the name that was asked for.
_CONVERSING = frozenset(("chat/completions", "completions", "responses"))
# Only these go on: no key, no cookie, nothing that tells of the caller.
_SENT = ("accept", "content-type", "content-encoding", "idempotency-key", "openai-beta", "range", "user-agent")
_SENT_WITH_THE_CALLERS_KEY = ("openai-organization", "openai-project")
# Hop-by-hop, or said by this server itself, or about the upstream's own address.
_NOT_RETURNED = frozenset(
    (
        *(b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-connection", b"te", b"trailer"),
        *(b"transfer-encoding", b"upgrade", b"date", b"server", b"set-cookie", b"alt-svc"),
        *(b"strict-transport-security", b"location"),
    )
)
_OF_THE_BODY = frozenset((b"content-length", b"content-encoding", b"content-type"))


@router.api_route("/{path:path}", methods=_METHODS)
async def proxy(path: str, request: Request, house: House, caller_key: CallerKey) -> Response:
    """Pass a request on. Raises NotFoundError for what is ours and not there, NotSupportedError without an upstream."""
    segments = path.strip("/").split("/")
    if not segments[0] or segments[0] in _OWNED or not {".", ".."}.isdisjoint(segments):
        shown = request.scope.get("understudy.path", request.scope["path"])
        raise refusals.INVALID_URL(method=request.method, path=shown)
    upstream = house.upstream
    if upstream is None:
        raise refusals.NO_UPSTREAM(method=request.method, path=path, known=", ".join(KNOWN_UPSTREAMS))
    body = await _body(request, path, house.settings)
    if not body.model and upstream.needs_deployment(path):
        raise refusals.NO_DEPLOYMENT(path=path)

    async def ask() -> httpx.Response:
        return await upstream.pass_on(
            request.method,
            path,
            query=request.scope["query_string"],
            headers=_headers(request, body, house.settings),
            content=body.content,
            model=body.model,
            caller_key=caller_key,
        )

    try:
        answer = await _while_connected(request, body.sent, ask)
    except ChatModelError as error:
        raise BadGatewayError(error.message) from error
    if answer.is_success:
        return _Passed(answer)
    if answer.has_redirect_location:
        await answer.aclose()
        # Without its query: a key that --upstream has there comes back in it.
        place = answer.headers["location"].partition("?")[0]
        raise BadGatewayError(f"The upstream redirects to {place}: is --upstream right?")
    content = await _while_connected(request, body.sent, lambda: upstream.refusal(answer, caller_key))
    response = Response(content, answer.status_code, media_type="application/json")
    response.raw_headers += [pair for pair in _returned(answer) if pair[0] not in _OF_THE_BODY]
    return response


# ---------------------------------------------------------------------------------------------------------------------
# There


@dataclass(frozen=True, slots=True)
class _Body:
    """A request's body as it goes on; `sent` is set once all of it has been read."""

    content: bytes | AsyncIterator[bytes] | None
    length: str | None
    model: str
    sent: anyio.Event


async def _body(request: Request, path: str, settings: Settings) -> _Body:
    sent = anyio.Event()
    length, deployment = request.headers.get("content-length"), request.scope.get("understudy.deployment", "")
    if length in (None, "0") and "transfer-encoding" not in request.headers:
        sent.set()
        return _Body(None, length, deployment, sent)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not kind.endswith("json") or "content-encoding" in request.headers:
        return _Body(_pieces(request, sent), length, deployment, sent)
    content, model = await _with_served_model(request, path, settings, deployment)
    sent.set()
    return _Body(content, str(len(content)), model, sent)


async def _pieces(request: Request, sent: anyio.Event) -> AsyncGenerator[bytes, None]:
    async for piece in request.stream():
        yield piece
    sent.set()


async def _with_served_model(request: Request, path: str, settings: Settings, deployment: str) -> tuple[bytes, str]:
    """The JSON body with the model that the upstream has under the name asked for, and that model."""
    content = await request.body()
    request.scope["understudy.most_values"] = math.inf  # embeddings of tokens have millions; pydantic never sees them
    try:
        body = await request.json()
    except orjson.JSONDecodeError as error:
        raise refusals.NOT_JSON() from error
    if not isinstance(body, dict):
        return content, deployment
    requested = body.get("model") or deployment
    if not requested or not isinstance(requested, str):
        return content, deployment
    served = (settings if path in _CONVERSING else replace(settings, model=None)).served_model(requested)
    return content if served == body.get("model") else orjson.dumps(body | {"model": served}), served


def _headers(request: Request, body: _Body, settings: Settings) -> dict[str, str]:
    names = _SENT + (_SENT_WITH_THE_CALLERS_KEY if settings.upstream_key == PASS_THROUGH else ())
    headers = {name: request.headers[name] for name in names if name in request.headers}
    # Only what can be read here too, where the upstream answers with an error.
    headers["accept-encoding"] = "gzip" if "gzip" in request.headers.get("accept-encoding", "") else "identity"
    return headers if body.length is None else headers | {"content-length": body.length}


async def _while_connected(request: Request, sent: anyio.Event, ask: Callable[[], Awaitable[T]]) -> T:
    """What `ask` answers. Raises ClientDisconnect where the client leaves before that."""
    answer: T | None = None
    failure: Exception = ClientDisconnect()

    async def watch(scope: anyio.CancelScope) -> None:
        await sent.wait()
        while (await request.receive())["type"] != "http.disconnect":
            pass
        scope.cancel()

    async with anyio.create_task_group() as group:
        group.start_soon(watch, group.cancel_scope)
        try:
            answer = await ask()
        except (APIError, ChatModelError, ClientDisconnect) as error:
            failure = error
        group.cancel_scope.cancel()
    if answer is None:
        raise failure
    return answer


# ---------------------------------------------------------------------------------------------------------------------
# And back


def _returned(answer: httpx.Response) -> list[tuple[bytes, bytes]]:
    named = {name.strip().lower().encode() for name in answer.headers.get("connection", "").split(",")}
    pairs = [(name.lower(), value) for name, value in answer.headers.raw]
    # Which pages may read the answer is for this server to say.
    return [
        (name, value)
        for name, value in pairs
        if name not in _NOT_RETURNED and name not in named and not name.startswith(b"access-control-")
    ]


class _Passed(StreamingResponse):
    """The upstream's answer, byte by byte; it ends with the client's connection, and breaks off where it broke off."""

    def __init__(self, answer: httpx.Response) -> None:
        super().__init__(self._pieces(), answer.status_code)
        self._answer = answer
        self._between_events = answer.headers.get("content-type", "").startswith("text/event-stream")
        self.raw_headers = _returned(answer)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            with anyio.CancelScope(shield=True):
                await self._answer.aclose()

    async def stream_response(self, send: Send) -> None:
        """Send all of it. Where the answer breaks off, the last message is missing: the connection is cut."""
        try:
            await super().stream_response(send)
        except httpx.HTTPError as error:
            log.warning("the upstream's answer broke off (%s)", str(error) or type(error).__name__)

    async def _pieces(self) -> AsyncGenerator[bytes, None]:
        begun, ending = False, b""
        try:
            async for piece in self._answer.aiter_raw():
                begun, ending = True, (ending + piece)[-4:]
                yield piece
        except httpx.HTTPError as error:
            whole = not begun or ending.endswith((b"\n\n", b"\r\n\r\n"))
            if not (self._between_events and whole) or "content-encoding" in self._answer.headers:
                raise
            log.warning("the upstream's stream broke off (%s)", str(error) or type(error).__name__)
            text = "The upstream broke off its answer."
            fault = {"message": text, "type": "server_error", "param": None, "code": None}
            yield b"data: " + orjson.dumps({"error": fault}) + b"\n\n"
