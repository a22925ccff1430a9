"""The queue between a run and the client that watches it."""

from collections.abc import AsyncIterator

import anyio
import pytest

from understudy.runs import event_stream
from understudy.runs.event_stream import EventStream


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def _next(reader: AsyncIterator[bytes]) -> bytes:
    with anyio.fail_after(5):
        return await anext(reader)


@pytest.mark.anyio
async def test_silence_is_filled_with_comments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "KEEP_ALIVE_SECONDS", 0.01)
    stream = EventStream()
    reader = stream.read()
    assert await _next(reader) == b": keep-alive\n\n"
    assert await _next(reader) == b": keep-alive\n\n"
    stream.publish("thread.run.created", {"id": "run_1"})
    assert await _next(reader) == b'event: thread.run.created\ndata: {"id":"run_1"}\n\n'
    stream.close()
    assert await _next(reader) == b"event: done\ndata: [DONE]\n\n"
    with pytest.raises(StopAsyncIteration):
        await _next(reader)


@pytest.mark.anyio
async def test_what_waits_goes_out_together() -> None:
    stream = EventStream()
    stream.publish("a", {})
    stream.publish("b", {})
    stream.close()
    stream.publish("late", {})
    assert await _next(stream.read()) == b"event: a\ndata: {}\n\nevent: b\ndata: {}\n\nevent: done\ndata: [DONE]\n\n"
