"""What frameworks cost alone: `python baseline_process.py PORT UPSTREAM`, a relay of unread bytes and a JSON echo."""

import sys
from collections.abc import AsyncIterator

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route

_client = httpx.AsyncClient(timeout=60)


async def _relay(request: Request) -> StreamingResponse:
    body = await request.body()

    async def read() -> AsyncIterator[bytes]:
        async with _client.stream("POST", f"{sys.argv[2]}/chat/completions", content=body) as response:
            async for piece in response.aiter_raw():
                yield piece

    return StreamingResponse(read(), media_type="text/event-stream")


async def _echo(request: Request) -> JSONResponse:
    return JSONResponse({"object": "thread", "given": await request.json() if request.method == "POST" else None})


if __name__ == "__main__":
    relay, echo = (
        Route("/v1/chat/completions", _relay, methods=["POST"]),
        {"endpoint": _echo, "methods": ["GET", "POST"]},
    )
    app = Starlette(routes=[relay, Route("/v1/threads", **echo), Route("/v1/threads/{id}", **echo)])
    uvicorn.run(app, port=int(sys.argv[1]), access_log=False, log_level="error")
