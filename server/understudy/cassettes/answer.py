"""An answer of the upstream as a cassette keeps it, or that there was none."""

import base64
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import httpx

from understudy.cassettes.rewriting import Rule, in_body, in_events, in_text

_BETWEEN_EVENTS = re.compile(rb"\r\n\r\n|\n\n|\r\r")
_DONE = re.compile(r"data: ?\[DONE\]\s*")
_FAILURES: dict[str, type[httpx.RequestError]] = {
    kind.__name__: kind
    for kind in (
        *(httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ReadError, httpx.ReadTimeout),
        *(httpx.WriteError, httpx.WriteTimeout, httpx.LocalProtocolError, httpx.RemoteProtocolError),
    )
}


@dataclass(frozen=True, slots=True)
class Answer:
    """Times are seconds since the request."""

    at: float
    """When the answer began, or when it was clear that none comes."""
    status: int | None = None
    """None where no answer came."""
    type: str = ""
    retry_after: float | None = None
    """Seconds that the upstream asked its client to wait."""
    body: str | bytes = ""
    """What is no event: a whole body, or the rest of a stream that broke off within an event."""
    events: tuple[tuple[float, str], ...] = ()
    failure: str | None = None
    """The exception of httpx in which the connection ended, with its text."""
    left: bool = False
    """Whether it was the asking side that did not wait for the end."""

    def rewritten(self, rules: Sequence[Rule]) -> "Answer":
        """The same with its texts replaced by `rules`."""
        body = in_body(self.body, rules) if isinstance(self.body, str) else self.body
        events = in_events([event for _, event in self.events], rules)
        times = (at for at, _ in self.events)
        failure = self.failure and in_text(self.failure, rules)
        return replace(self, body=body, events=tuple(zip(times, events, strict=True)), failure=failure)

    def restored(self, rules: Sequence[Rule]) -> "Answer":
        """The same with the names in its texts replaced, which are never in pieces."""
        body = in_text(self.body, rules) if isinstance(self.body, str) else self.body
        return replace(self, body=body, events=tuple((at, in_text(event, rules)) for at, event in self.events))

    def error(self, request: httpx.Request) -> httpx.RequestError:
        """The failure as the exception that it was."""
        name, _, text = (self.failure or "").partition(": ")
        kind: type[httpx.RequestError] = _FAILURES.get(name, httpx.ReadError)
        return kind(text, request=request)

    def headers(self, pacing: float) -> dict[str, str]:
        """The headers that mean something to who reads the answer. Nobody is to wait longer than `pacing` wants."""
        headers = {"content-type": self.type} if self.type else {}
        if self.retry_after is not None:
            headers["retry-after"] = f"{self.retry_after:g}"
        if self.status == 429 or (self.status or 0) >= 500:
            # Clients back off on their own where none is told; they take no 0.
            wait = self.retry_after if pacing else 0.0
            headers |= {} if wait is None else {"retry-after-ms": str(max(1, round(wait * pacing * 1000)))}
        return headers

    # The file

    def stored(self) -> dict[str, Any]:
        """As YAML has it."""
        said: dict[str, Any] = {"at": round(self.at, 3), "status": self.status, "type": self.type}
        said |= {"retry_after": self.retry_after, "failure": self.failure, "left": self.left}
        if self.events:
            said["events"] = "".join(map(_line, self.events))
        said["body"] = self.body if isinstance(self.body, str) else None
        said["base64"] = base64.b64encode(self.body).decode() if isinstance(self.body, bytes) else None
        return {name: value for name, value in said.items() if value or isinstance(value, float)}

    @classmethod
    def read(cls, said: dict[str, Any]) -> "Answer":
        """From what `stored` has made. Raises KeyError, TypeError and ValueError where it is something else."""
        body = base64.b64decode(said["base64"]) if "base64" in said else str(said.get("body", ""))
        wait, failure = said.get("retry_after"), said.get("failure")
        return cls(
            at=float(said["at"]),
            status=None if said.get("status") is None else int(said["status"]),
            type=str(said.get("type", "")),
            retry_after=None if wait is None else float(wait),
            body=body,
            events=tuple(_events(str(said.get("events", "")))),
            failure=None if failure is None else str(failure),
            left=bool(said.get("left", False)),
        )


def told(error: httpx.RequestError) -> str:
    """An exception as `Answer.failure` has it."""
    return f"{type(error).__name__}: {error}"


class Tape:
    """An answer while it comes in; `keep` gets it once, when it has ended one way or another."""

    def __init__(self, begun: Answer, elapsed: Callable[[], float], keep: Callable[[Answer], None]) -> None:
        self._answer = begun
        self._elapsed = elapsed
        self._keep: Callable[[Answer], None] | None = keep
        self._pieces: list[tuple[float, bytes]] = []

    def add(self, piece: bytes) -> None:
        """Take a piece of the body."""
        self._pieces.append((self._elapsed(), piece))

    def end(self, failure: httpx.RequestError | None = None) -> None:
        """The upstream has ended it, or the connection to it has failed."""
        if self._keep is not None:
            keep, self._keep = self._keep, None
            keep(replace(self._taken(), failure=told(failure) if failure else None))

    def leave(self) -> None:
        """The asking side goes, which is no end of the upstream's unless all had been said."""
        if self._keep is None:
            return
        taken = self._taken()
        if (taken.status or 0) >= 300 or any(_DONE.fullmatch(event) for _, event in taken.events):
            self.end()
        else:
            keep, self._keep = self._keep, None
            keep(replace(taken, left=True))

    def _taken(self) -> Answer:
        content = b"".join(piece for _, piece in self._pieces)
        if not self._answer.type.startswith("text/event-stream"):
            return replace(self._answer, body=_text(content, self._answer.type))
        events, begin = [], 0
        for gap in _BETWEEN_EVENTS.finditer(content):
            event = content[begin : gap.start()].decode("utf-8", "replace")
            events.append((self._time(gap.end()), event.replace("\r\n", "\n").replace("\r", "\n")))
            begin = gap.end()
        return replace(self._answer, body=content[begin:].decode("utf-8", "replace"), events=tuple(events))

    def _time(self, length: int) -> float:
        """When that many bytes were there."""
        for at, piece in self._pieces:
            length -= len(piece)
            if length <= 0:
                return at
        return 0.0


def _text(content: bytes, media_type: str) -> str | bytes:
    if media_type.startswith(("audio/", "image/", "video/")):
        return content
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content


def _line(event: tuple[float, str]) -> str:
    """A line for an event, its time before it; further lines of the event are indented."""
    at, text = event
    return f"{at:.3f} " + text.replace("\n", "\n ") + "\n"


def _events(lines: str) -> list[tuple[float, str]]:
    events: list[tuple[float, str]] = []
    for line in lines.split("\n")[:-1]:
        if line.startswith(" "):
            at, text = events.pop()
            events.append((at, f"{text}\n{line[1:]}"))
        else:
            time, _, text = line.partition(" ")
            events.append((float(time), text))
    return events
