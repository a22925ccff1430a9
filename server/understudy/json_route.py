"""Request bodies parsed by orjson: faster than json, and what is no valid Unicode or no JSON is refused here."""

from collections.abc import Callable, Coroutine
from typing import Any

import orjson
from fastapi import Request, Response
from fastapi.routing import APIRoute

from understudy import refusals

_MAX_BYTES = 64 * 1024**2
_MAX_DEPTH = 100  # what can be parsed can be deeper than what can be written again
_MAX_VALUES = 100_000  # pydantic keeps a kilobyte for each that is wrong, and looks at all of them


class _JSONRequest(Request):
    async def body(self) -> bytes:
        if not hasattr(self, "_body"):
            content = bytearray()
            async for piece in self.stream():
                content += piece
                if len(content) > _MAX_BYTES:
                    raise refusals.BODY_TOO_LARGE(most=_MAX_BYTES // 1024**2)
            self._body = bytes(content)
        return self._body

    async def json(self) -> Any:
        content = await self.body()
        parsed = orjson.loads(content)
        _check(parsed, content, self.scope.get("understudy.most_values", _MAX_VALUES))
        return parsed


def _check(parsed: Any, content: bytes, most: float) -> None:
    if content.count(b"[") + content.count(b"{") <= _MAX_DEPTH and content.count(b",") < most:
        return
    depth, values, level = 0, 0, [parsed]
    while level:
        depth, values = depth + 1, values + len(level)
        if depth > _MAX_DEPTH:
            raise refusals.TOO_DEEP(most=_MAX_DEPTH)
        if values > most:
            raise refusals.TOO_MANY_VALUES(most=most)
        inner = (one.values() if isinstance(one, dict) else one for one in level if isinstance(one, dict | list))
        level = [child for children in inner for child in children]


class JSONRoute(APIRoute):
    """A route whose body is strict JSON: no NaN, no lone surrogates, which the database could not store."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's own handler on such a request."""
        handle = super().get_route_handler()

        async def strict(request: Request) -> Response:
            return await handle(_JSONRequest(request.scope, request.receive))

        return strict
