"""A Chat Completions server that says what a test scripted. The only thing in the tests that is not real."""

import asyncio
import hashlib
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
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
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
        self.received: dict[str, int] = {}
        """Bytes of the bodies sent to `/v1/echo/…`, by path, as they come."""
        self.left: list[str] = []
        """Models, and paths under `/v1/echo/`, whose client left before the answer had ended."""
        methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
        routes = [
            Route("/{prefix:path}/chat/completions", self._complete, methods=["POST"]),
            Route("/v1/models", self._models),
            Route("/guarded/models", _refuse),
            Route("/v1/embeddings", _embed, methods=["POST"]),
            Route("/v1/audio/speech", _speak, methods=["POST"]),
            Route("/v1/audio/transcriptions", _transcribe, methods=["POST"]),
            Route("/openai/deployments/{name}/audio/transcriptions", _name, methods=["POST"]),
            Route("/v1/echo/elsewhere", _redirect),
            Route("/v1/echo/cut", _cut),
            Route("/v1/echo/never/{rest}", self._never, methods=methods),
            Route("/{prefix:path}/echo/{rest:path}", self._echo, methods=methods),
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
        self.guarded_url = f"{self.root}/guarded"
        """Where no key is the right one."""

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
        return self._answer(reply(body) if callable(reply) else reply, body)

    async def _echo(self, request: Request) -> Response:
        """What came: the method, the address, the headers, the body or what is left of a long one."""
        path, body = request.url.path, b""
        try:
            async for piece in request.stream():
                body += piece
                self.received[path] = len(body)
        except ClientDisconnect:
            self.left.append(path)
        said = {
            "method": request.method,
            "url": f"{request.scope['raw_path'].decode()}?{request.scope['query_string'].decode()}".removesuffix("?"),
            "headers": dict(request.headers),
            "body": body[:1000].decode("utf-8", "replace"),
            "sha256": hashlib.sha256(body).hexdigest(),
        }
        headers = {"x-ratelimit-remaining-requests": "7", "set-cookie": "a=b", "access-control-allow-origin": "*"}
        return JSONResponse(said, 201, headers | {"x-request-id": "theirs", "openai-organization": "org-theirs"})

    async def _never(self, request: Request) -> Response:
        """No answer; until the client leaves."""
        await request.body()
        self.received[request.url.path] = 1
        while (await request.receive())["type"] != "http.disconnect":
            pass
        self.left.append(request.url.path)
        return Response()

    def _answer(self, reply: Reply, body: JSON) -> Response:
        if reply.status != 200:
            content = reply.body if isinstance(reply.body, str) else orjson.dumps(reply.body).decode()
            return Response(content, reply.status, reply.headers)
        if reply.whole or not body.get("stream"):
            return JSONResponse(_head("chat.completion", body) | _whole(reply))
        return StreamingResponse(self._noticing(reply, body), media_type="text/event-stream")

    async def _noticing(self, reply: Reply, body: JSON) -> AsyncIterator[bytes]:
        try:
            async for event in self._events(reply, body):
                yield event
        except asyncio.CancelledError:
            self.left.append(body["model"])
            raise

    async def _events(self, reply: Reply, body: JSON) -> AsyncIterator[bytes]:
        chunks = reply.stream()
        if reply.chunks is None:
            head = _head("chat.completion.chunk", body)
            chunks = [head | chunk for chunk in chunks if isinstance(chunk, dict)]
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
    texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
    data = [{"object": "embedding", "index": index, "embedding": _direction(text)} for index, text in enumerate(texts)]
    usage = {"prompt_tokens": 1, "total_tokens": 1}
    return JSONResponse({"object": "list", "data": data, "model": body["model"], "usage": usage})


def _direction(text: str) -> list[float]:
    numbers = random.Random(text)
    return [numbers.uniform(-1, 1) for _ in range(32)]


async def _speak(request: Request) -> Response:
    """Some bytes, in pieces."""

    async def pieces() -> AsyncIterator[bytes]:
        for number in range(100):
            yield bytes([number]) * 1000

    return StreamingResponse(pieces(), media_type="audio/mpeg")


async def _transcribe(request: Request) -> Response:
    """The form that came, as its text."""
    async with request.form() as form:
        file = form["file"]
        assert not isinstance(file, str)
        content = await file.read()
        said = f"{form.get('model')} {file.filename} {len(content)} {hashlib.sha256(content).hexdigest()}"
    return JSONResponse({"text": said})


async def _refuse(request: Request) -> Response:
    text = f"Incorrect API key provided: {request.headers.get('authorization', '')}"
    return JSONResponse({"error": {"message": text, "code": "invalid_api_key"}}, 401)


async def _name(request: Request) -> Response:
    return JSONResponse({"text": request.path_params["name"]})


async def _redirect(_request: Request) -> Response:
    return RedirectResponse("http://127.0.0.1:1/elsewhere?key=secret")


async def _cut(_request: Request) -> Response:
    """Less than was announced."""
    return StreamingResponse(_once(b"half"), headers={"content-length": "8"}, media_type="text/plain")


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content
    await asyncio.sleep(0)
    raise asyncio.CancelledError


def _head(kind: str, body: JSON) -> JSON:
    return {"id": "chatcmpl-scripted", "object": kind, "created": 1, "model": body["model"]}


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
    finish = reply.finish or ("tool_calls" if calls else "stop")
    return {"choices": [{"index": 0, "message": message, "finish_reason": finish}], "usage": reply.usage}
