"""Request bodies parsed by orjson: faster than json, and what is no valid Unicode or no JSON is refused here."""

from collections.abc import Callable, Coroutine
from typing import Any

import orjson
from fastapi import Request, Response
from fastapi.routing import APIRoute


class _JSONRequest(Request):
    async def json(self) -> Any:
        return orjson.loads(await self.body())


class JSONRoute(APIRoute):
    """A route whose body is strict JSON: no NaN, no lone surrogates, which the database could not store."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's own handler on such a request."""
        handle = super().get_route_handler()

        async def strict(request: Request) -> Response:
            return await handle(_JSONRequest(request.scope, request.receive))

        return strict
