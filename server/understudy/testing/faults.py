"""Faults: what goes wrong on purpose, for the requests that match and as often as is said."""

import re
from functools import cached_property
from typing import Annotated, Literal

import anyio
from pydantic import Field, PrivateAttr, model_validator
from starlette.datastructures import Headers
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from understudy.chat_models.base import ErrorCode
from understudy.schemas.base import Body

_TYPES = {401: "invalid_request_error", 403: "invalid_request_error", 429: "rate_limit_error"}
_CODES = {401: "invalid_api_key", 429: "rate_limit_exceeded"}
_EVENT_END = b"\n\n"
_SEGMENT = {"**": ".*", "*": "[^/]*"}


class Fault(Body):
    """One fault. It strikes `times` requests that match, after it let `skip` of them pass."""

    match: Annotated[str | None, Field(min_length=1, max_length=1000)] = None
    """`POST /v1/threads/*/runs`: `*` is a part of a path, `**` any number of them; without a method, any."""
    times: Annotated[int | None, Field(ge=1)] = 1
    """None: always."""
    skip: Annotated[int, Field(ge=0)] = 0
    delay: Annotated[float, Field(ge=0, le=3600)] = 0
    """Real seconds before anything else happens."""
    status: Annotated[int | None, Field(ge=400, le=599)] = None
    """Answer with this error in place of doing what was asked for."""
    message: str = "This error was asked for by a test."
    code: str | None = None
    retry_after: Annotated[float | None, Field(ge=0)] = None
    drop: Literal["before", "after"] | bool = False
    """Close the connection without an answer: before the request is dealt with, or after."""
    cut: Annotated[int | None, Field(ge=0)] = None
    """Break a stream off after so many events."""
    stall: Annotated[int | None, Field(ge=0)] = None
    """Send nothing more after so many events of a stream, until the client leaves; another answer never comes."""
    fail_run: ErrorCode | None = None
    """Let the next model call of a run fail: no request's fault but a run's."""

    _struck: int = PrivateAttr(0)
    _passed: int = PrivateAttr(0)

    @model_validator(mode="after")
    def _one_thing(self) -> "Fault":
        if (self.match is None) == (self.fail_run is None):
            raise ValueError("a fault has either `match`, for requests, or `fail_run`")
        done = [self.status is not None, bool(self.drop), self.cut is not None, self.stall is not None].count(True)
        if self.match is not None and done != 1 and (done or not self.delay):
            raise ValueError("a fault does one of `status`, `drop`, `cut`, `stall`, or `delay`, alone or too")
        return self

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        assert self.match is not None
        method, _, path = self.match.rpartition(" ")
        parts = re.split(r"(\*\*|\*)", path)
        return re.compile(
            (re.escape(method.strip().upper()) if method.strip() not in ("", "*") else "[A-Z]+")
            + " "
            + "".join(_SEGMENT.get(part, re.escape(part)) for part in parts)
        )

    def matches(self, method: str, path: str) -> bool:
        """Whether it is about such a request."""
        return self.match is not None and self._pattern.fullmatch(f"{method} {path}") is not None

    def strikes(self) -> bool:
        """Count one thing that it is about; whether it strikes this one."""
        if self.spent:
            return False
        self._passed += 1
        if self._passed <= self.skip:
            return False
        self._struck += 1
        return True

    @property
    def spent(self) -> bool:
        """Whether it has struck as often as it was to."""
        return self.times is not None and self._struck >= self.times

    @property
    def struck(self) -> int:
        """How often it has struck."""
        return self._struck


class Faults:
    """A namespace's, in the order in which they were added; the first that strikes a request is its only one."""

    def __init__(self) -> None:
        self.all: list[Fault] = []

    def for_request(self, method: str, path: str) -> Fault | None:
        """The fault that strikes a request."""
        return next((one for one in self.all if one.matches(method, path) and one.strikes()), None)

    def for_run(self) -> Fault | None:
        """The fault that strikes a run's model call."""
        return next((one for one in self.all if one.fail_run is not None and one.strikes()), None)


async def answer(fault: Fault, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request that a fault strikes."""
    if fault.delay:
        await anyio.sleep(fault.delay)
    if fault.status is not None or fault.drop in (True, "before"):
        while (await receive()).get("more_body"):
            pass
    if fault.status is not None:
        await _refusal(fault)(scope, receive, send)
    elif fault.drop:
        if fault.drop == "after":
            await app(scope, receive, _swallow)
        _abort(scope)
        await _gone(receive)
    elif fault.cut is not None or fault.stall is not None:
        await _Part(fault, receive, send).answer(app, scope)
    else:
        await app(scope, receive, send)


def _refusal(fault: Fault) -> Response:
    assert fault.status is not None
    kind = _TYPES.get(fault.status, "server_error" if fault.status >= 500 else "invalid_request_error")
    code = fault.code if fault.code is not None else _CODES.get(fault.status)
    error = {"message": fault.message, "type": kind, "param": None, "code": code}
    headers = {} if fault.retry_after is None else {"retry-after": f"{fault.retry_after:g}"}
    return JSONResponse({"error": error}, status_code=fault.status, headers=headers)


async def _swallow(_message: Message) -> None:
    """What the client is not to see."""


def _abort(scope: Scope) -> None:
    """Close the connection as a network does that fails."""
    scope["extensions"]["understudy.abort"]["call"]()


async def _gone(receive: Receive) -> None:
    """Wait until the connection is closed: an answer that ends before would be taken for one that was forgotten."""
    while (await receive())["type"] != "http.disconnect":
        pass


class _Part:
    """Passes a part of an answer on: of a stream so many events, of any other nothing."""

    def __init__(self, fault: Fault, receive: Receive, send: Send) -> None:
        limit = fault.cut if fault.cut is not None else fault.stall
        assert limit is not None
        self._left = limit
        self._stalls = fault.cut is None
        self._receive = receive
        self._send = send
        self._over = False

    async def answer(self, app: ASGIApp, scope: Scope) -> None:
        """Let the application answer, and the client see a part of it."""

        async def pass_on(message: Message) -> None:
            if self._over:
                return
            if message["type"] == "http.response.start":
                streams = Headers(raw=message["headers"]).get("content-type", "").startswith("text/event-stream")
                self._left = self._left if streams else 0
                if streams:
                    await self._send(message)
            elif self._left:
                await self._send({**message, "body": self._kept(message["body"]), "more_body": True})
            if not self._left:
                self._over = True
                if not self._stalls:
                    _abort(scope)

        await app(scope, self._receive, pass_on)
        if self._over:
            await _gone(self._receive)

    def _kept(self, body: bytes) -> bytes:
        end = 0
        while self._left and (found := body.find(_EVENT_END, end)) >= 0:
            end, self._left = found + len(_EVENT_END), self._left - 1
        return body if self._left else body[:end]
