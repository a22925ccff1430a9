"""A Chat Completions server that costs next to nothing: `python upstream_process.py PORT`.

The model's name says what it answers: `500x2` is 500 tokens, one every 2 ms; with `x0` all of them come at once. Each
token is an event and an HTTP chunk of its own, as real servers send them.
"""

import asyncio
import contextlib
import functools
import json
import sys

import uvloop

_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def _event(payload: str) -> bytes:
    data = f"data: {payload}\n\n".encode()
    return b"%x\r\n%b\r\n" % (len(data), data)


def _chunk(delta: dict[str, str], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    head = {"id": "chatcmpl-bench", "object": "chat.completion.chunk", "created": 1, "model": "bench"}
    return _event(json.dumps(head | {"choices": [choice], "usage": None}))


@functools.cache
def _answer(tokens: int) -> list[bytes]:
    usage = {"prompt_tokens": 10, "completion_tokens": tokens, "total_tokens": 10 + tokens}
    words = [_chunk({"content": f"word{number} "}) for number in range(tokens)]
    end = _chunk({}, "stop") + _event(json.dumps({"choices": [], "usage": usage})) + _event("[DONE]") + b"0\r\n\r\n"
    return [_HEAD + _chunk({"role": "assistant", "content": ""}), *words, end]


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
            tokens, pace = map(int, json.loads(await reader.readexactly(length))["model"].split("x"))
            for piece in _answer(tokens) if pace else [b"".join(_answer(tokens))]:
                writer.write(piece)
                await asyncio.sleep(pace / 1000)


async def _main() -> None:
    await (await asyncio.start_server(_serve, "127.0.0.1", int(sys.argv[1]))).serve_forever()


if __name__ == "__main__":
    uvloop.run(_main())
