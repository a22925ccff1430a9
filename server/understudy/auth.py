"""Who may ask: keys, Host headers, browsers' cross-site requests. Pure ASGI, which costs a stream nothing."""

import hashlib
import hmac
import logging
import secrets
import time
from functools import lru_cache
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from understudy import refusals
from understudy.errors import APIError, AuthenticationError, json_error
from understudy.settings import Settings

log = logging.getLogger("understudy")
_LONGEST_REASON = 500  # characters of an error that the log shows
_LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "::1")
_OPEN_PATHS = ("/health",)


class Gate:
    """Lets a request in or answers 401 or 403; gives every answer the API's headers and one line in the log."""

    def __init__(self, app: ASGIApp, settings: Settings, model_backend: str) -> None:
        self._app = app
        self._keys = [_digest(key) for key in settings.api_key]
        self._origins = set(settings.cors_origin)
        self._hosts = {host.lower() for host in settings.allowed_host}
        if settings.loopback or self._hosts:
            self._hosts |= {*_LOOPBACK_HOSTS, settings.host.lower()}
        self._model_backend = model_backend

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        request_id = f"req_{secrets.token_hex(16)}"
        headers = Headers(scope=scope)
        scope["understudy.key"] = _key(headers)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                added = MutableHeaders(scope=message)
                added["x-request-id"] = request_id
                added["openai-version"] = "2020-10-01"
                added["openai-processing-ms"] = str(round((time.perf_counter() - started) * 1000))
                added["x-understudy-model"] = self._model_backend
                self._allow_origin(headers, added)
                _log_line(scope, message["status"], time.perf_counter() - started, request_id)
            await send(message)

        try:
            self._check(scope, headers)
        except APIError as error:
            # Not the message: it shows the ends of a wrong key.
            scope["understudy.error"] = "wrong API key" if isinstance(error, AuthenticationError) else error.message
            await json_error(error)(scope, receive, send_with_headers)
            return
        if scope["method"] == "OPTIONS" and headers.get("origin") in self._origins:
            await Response(status_code=204)(scope, receive, send_with_headers)
            return
        await self._answer(scope, receive, send_with_headers)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def send_and_note(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, send_and_note)
        except Exception:
            # The last net: a fault of ours, with its traceback in the log and none for the client.
            log.exception("%s %s failed", scope["method"], _shown(scope))
            if not begun:
                await json_error(refusals.FAULT())(scope, receive, send)

    def _check(self, scope: Scope, headers: Headers) -> None:
        host = _hostname(headers.get("host", ""))
        if self._hosts and host not in self._hosts:
            # DNS rebinding: a web page's own name that was made to point at this machine.
            raise refusals.HOST_NOT_SERVED(host=host, name=host or "NAME")
        origin = headers.get("origin")
        if origin in self._origins:
            if scope["method"] == "OPTIONS":
                return
        elif headers.get("sec-fetch-site", "").lower() == "cross-site" or (
            origin and origin.partition("://")[2] != headers.get("host")
        ):
            raise refusals.CROSS_SITE(origin=origin or "another site")
        if self._keys and scope["path"] not in _OPEN_PATHS:
            self._check_key(scope["understudy.key"])

    def _check_key(self, key: str | None) -> None:
        if not key:
            raise refusals.NO_KEY()
        given = _digest(key)
        # All of them are compared: the time taken tells nothing about which keys there are.
        if not sum(hmac.compare_digest(given, known) for known in self._keys):
            shown = f"{key[:4]}{'*' * 8}{key[-4:]}" if len(key) > 12 else "*" * len(key)
            raise refusals.WRONG_KEY(shown=shown)

    def _allow_origin(self, headers: Headers, added: MutableHeaders) -> None:
        origin = headers.get("origin")
        if origin in self._origins:
            added["access-control-allow-origin"] = origin
            added["access-control-allow-methods"] = "GET, POST, PUT, PATCH, DELETE"
            added["access-control-allow-headers"] = headers.get("access-control-request-headers", "*")
            added["vary"] = "Origin"


@lru_cache(maxsize=64)
def _hostname(header: str) -> str:
    """The name in a Host header, empty where the header is malformed."""
    if any(mark in header for mark in "@/#?\\"):
        return ""
    try:
        return urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return ""


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()


def _key(headers: Headers) -> str | None:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return (token.strip() if scheme.lower() == "bearer" else None) or headers.get("api-key") or None


def _shown(scope: Scope) -> str:
    raw_path: bytes = scope["raw_path"]
    return raw_path.decode("ascii", "backslashreplace")


def _log_line(scope: Scope, status: int, seconds: float, request_id: str) -> None:
    reason = str(scope.get("understudy.error") or "")[:_LONGEST_REASON]
    log.log(
        logging.WARNING if status >= 500 else logging.INFO,
        "%s %s %d %.0f ms %s%s",
        scope["method"],
        _shown(scope),
        status,
        seconds * 1000,
        request_id,
        f": {reason}" if reason else "",
    )
