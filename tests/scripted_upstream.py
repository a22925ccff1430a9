"""A Chat Completions server that says what a test scripted. The only thing in the tests that is not real."""

import asyncio
import random
import threading
import time
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

JSON = dict[str, Any]


@dataclass
class Reply:
    """One answer: text and tool calls, or `chunks` word for word, or an error `status` with `body`."""

    text: str = ""
    calls: list[tuple[str, JSON | str]] = field(default_factory=list)
    pieces: list[str] | None = None
    finish: str | None = None
    usage: JSON | None = field(
        default_factory=lambda: {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    )
    chunks: list[JSON | str] | None = None
    status: int = 200
    body: JSON | str = ""
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    """Seconds between two chunks."""
    hold: threading.Event | None = None
    """The last chunk waits for this."""
    cut: bool = False
    """End without `[DONE]`."""
    whole: bool = False
    """Answer as one JSON object, as servers do that cannot stream."""

    def stream(self) -> list[JSON | str]:
        if self.chunks is not None:
            return self.chunks
        deltas: list[JSON] = [{"role": "assistant", "content": ""}]
        deltas += [{"content": piece} for piece in (self.pieces or ([self.text] if self.text else []))]
        for index, (name, arguments) in enumerate(self.calls):
            encoded = arguments if isinstance(arguments, str) else orjson.dumps(arguments).decode()
            function: JSON = {"name": name, "arguments": ""}
            call_id = f"call_{uuid.uuid4().hex[:24]}"
            deltas.append({"tool_calls": [{"index": index, "id": call_id, "type": "function", "function": function}]})
            for start in range(0, len(encoded), 9):
                piece = {"index": index, "function": {"arguments": encoded[start : start + 9]}}
                deltas.append({"tool_calls": [piece]})
        chunks: list[JSON | str] = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
        finish = self.finish or ("tool_calls" if self.calls else "stop")
        chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
        if self.usage:
            chunks.append({"choices": [], "usage": self.usage})
        return chunks


Script = list[Reply | Callable[[JSON], Reply]]


class ScriptedUpstream:
    """Answers the requests for a model with that model's replies, in their order, and keeps the requests."""

    def __init__(self) -> None:
        self._scripts: dict[str, Script] = {}
        self._holds: list[threading.Event] = []
        self.requests: dict[str, list[JSON]] = {}
        self.headers: dict[str, list[dict[str, str]]] = {}
        self.paths: dict[str, list[str]] = {}
        routes = [
            Route("/{prefix:path}/chat/completions", self._complete, methods=["POST"]),
            Route("/v1/models", self._models),
            Route("/v1/embeddings", _embed, methods=["POST"]),
        ]
        config = uvicorn.Config(Starlette(routes=routes), port=0, log_level="error")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)
        port = self._server.servers[0].sockets[0].getsockname()[1]
        self.root = f"http://127.0.0.1:{port}"
        self.url = f"{self.root}/v1"

    def stop(self) -> None:
        for hold in self._holds:
            hold.set()
        self._server.should_exit = True
        self._thread.join()

    def script(self, *replies: Reply | Callable[[JSON], Reply]) -> str:
        """The name of a new model that gives these replies; once they are used up, it answers 500."""
        model = f"model-{uuid.uuid4().hex[:8]}"
        self._scripts[model] = list(replies)
        self._holds += [reply.hold for reply in replies if isinstance(reply, Reply) and reply.hold]
        self.requests[model], self.headers[model], self.paths[model] = [], [], []
        return model

    async def _models(self, _request: Request) -> Response:
        return JSONResponse({"object": "list", "data": [{"id": "scripted", "object": "model", "created": 1}]})

    async def _complete(self, request: Request) -> Response:
        body = orjson.loads(await request.body())
        model = body["model"]
        if model not in self._scripts:
            error = {"message": f"The model `{model}` does not exist", "code": "model_not_found", "param": "model"}
            return JSONResponse({"error": error}, 404)
        self.requests[model].append(body)
        self.headers[model].append(dict(request.headers))
        self.paths[model].append(str(request.url).removeprefix(self.root))
        if not self._scripts[model]:
            return JSONResponse({"error": {"message": "the script has no more replies"}}, 500)
        reply = self._scripts[model].pop(0)
        return self._answer(reply(body) if callable(reply) else reply)

    def _answer(self, reply: Reply) -> Response:
        if reply.status != 200:
            content = reply.body if isinstance(reply.body, str) else orjson.dumps(reply.body).decode()
            return Response(content, reply.status, reply.headers)
        if reply.whole:
            return JSONResponse(_whole(reply))
        return StreamingResponse(self._events(reply), media_type="text/event-stream")

    async def _events(self, reply: Reply) -> AsyncIterator[bytes]:
        chunks = reply.stream()
        for number, chunk in enumerate(chunks):
            if reply.delay:
                await asyncio.sleep(reply.delay)
            if number == len(chunks) - 1 and reply.hold is not None:
                await asyncio.to_thread(reply.hold.wait, 30)
            yield b"data: " + (chunk.encode() if isinstance(chunk, str) else orjson.dumps(chunk)) + b"\n\n"
        if not reply.cut:
            yield b"data: [DONE]\n\n"


async def _embed(request: Request) -> Response:
    """A random direction for each text, the same for the same one."""
    body = orjson.loads(await request.body())
    data = [
        {"object": "embedding", "index": index, "embedding": _direction(text)}
        for index, text in enumerate(body["input"])
    ]
    return JSONResponse({"object": "list", "data": data, "model": body["model"], "usage": {"total_tokens": 1}})


def _direction(text: str) -> list[float]:
    numbers = random.Random(text)
    return [numbers.uniform(-1, 1) for _ in range(32)]


def _whole(reply: Reply) -> JSON:
    calls = [
        {
            "id": f"call_{number}",
            "type": "function",
            "function": {"name": name, "arguments": orjson.dumps(given).decode()},
        }
        for number, (name, given) in enumerate(reply.calls)
    ]
    message = {"role": "assistant", "content": reply.text or None, "tool_calls": calls or None}
    return {"choices": [{"message": message, "finish_reason": reply.finish or "stop"}], "usage": reply.usage}
