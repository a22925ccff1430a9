"""One run's server-sent events, from the recorder to the client that asked for them."""

from collections.abc import AsyncIterator

import orjson
from anyio import Event, move_on_after
from pydantic import BaseModel

from understudy.schemas.base import JSON

KEEP_ALIVE_SECONDS = 15.0


class EventStream:
    """A queue of encoded events with one reader. Events after the reader has left are dropped: the run goes on."""

    def __init__(self) -> None:
        self._pending: list[bytes] = []
        self._news = Event()
        self._closed = False
        self._reader_left = False

    def publish(self, event: str, payload: BaseModel | JSON) -> None:
        """Send `event` with its object."""
        if self._closed or self._reader_left:
            return
        data = payload.model_dump_json().encode() if isinstance(payload, BaseModel) else orjson.dumps(payload)
        self._pending.append(b"event: %b\ndata: %b\n\n" % (event.encode(), data))
        self._news.set()

    def close(self) -> None:
        """End the stream, also after `requires_action` [R]."""
        if not self._closed:
            self._pending.append(b"event: done\ndata: [DONE]\n\n")
            self._closed = True
            self._news.set()

    def abort(self, message: str) -> None:
        """End the stream with a fault: `event: error` and no `done` [R]."""
        error = {"message": message, "type": "server_error", "param": None, "code": None}
        self.publish("error", {"error": error})
        self._closed = True
        self._news.set()

    async def read(self) -> AsyncIterator[bytes]:
        """Everything published, in as few pieces as the reader's speed asks for."""
        try:
            while True:
                if self._pending:
                    chunk, self._pending = b"".join(self._pending), []
                    yield chunk
                elif self._closed:
                    return
                else:
                    self._news = Event()
                    with move_on_after(KEEP_ALIVE_SECONDS) as silence:
                        await self._news.wait()
                    if silence.cancelled_caught:
                        yield b": keep-alive\n\n"
        finally:
            self._reader_left = True
            self._pending.clear()
