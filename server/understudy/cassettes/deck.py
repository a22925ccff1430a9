"""What a server plays cassettes on: one at a time, or none, between its upstream clients and the network."""

import contextlib
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Lock

import httpx

from understudy.cassettes.answer import Answer
from understudy.cassettes.cassette import Cassette, CassetteError, Entry
from understudy.cassettes.model_request import ModelRequest, body_of, canonical
from understudy.cassettes.redaction import Redaction
from understudy.cassettes.rewriting import Rule
from understudy.errors import CassetteMissError
from understudy.file_lock import lock

log = logging.getLogger("understudy")
PATH = "understudy.path"
"""The extension of a request that names its path below the base URL, with its query."""


@dataclass(slots=True)
class Report:
    """What was done with a cassette."""

    path: Path
    mode: str
    replayed: int = 0
    recorded: int = 0
    misses: list[str] = field(default_factory=list)
    """What was said to requests that the cassette does not know."""
    unused: int = 0
    """Entries that were there and that nobody asked for."""


class Deck:
    """Replays and records, from the event loop and from worker threads."""

    def __init__(self, *, redact: Sequence[str] = (), pacing: float = 0.0) -> None:
        self.pacing = pacing
        """What recorded waits are multiplied by: 0 replays at once."""
        self.closing = False
        """Whether the server ends: who leaves now has not left of his own accord, and that is not recorded."""
        self._redaction = Redaction(redact)
        self.play: Play | None = None
        """The cassette that is in it, at work."""

    @property
    def report(self) -> Report | None:
        """What was done so far with the cassette that is in it."""
        return self.play.report() if self.play else None

    def insert(self, path: Path, mode: str) -> None:
        """Put a cassette in: `none` replays, `once` records where there is no file, `new` records what the file does
        not know, `all` records everything anew. Raises CassetteError.
        """
        self.eject()
        self.play = Play(path, mode, self._redaction)

    def eject(self) -> Report | None:
        """Take the cassette out; what is still being answered is not recorded any more."""
        play, self.play = self.play, None
        return play.close() if play else None


@dataclass(frozen=True, slots=True)
class Question:
    """A request that was put to a cassette."""

    answer: Answer | None
    """None where the upstream is to be asked."""
    keep: Callable[[Answer], None]
    """Records what it answered."""


class Play:
    """A cassette at work."""

    def __init__(self, path: Path, mode: str, redaction: Redaction) -> None:
        self._replays_only = mode == "none" or (mode == "once" and path.exists())
        self._report = Report(path, mode)
        self._cassette = Cassette(path, redaction)
        self._lock = Lock()
        self._closed = False
        with contextlib.ExitStack() as stack:
            if not self._replays_only:
                stack.enter_context(_held(path))
            if self._replays_only or path.exists():
                self._cassette.load()
            if mode == "all":
                # The file keeps them until the first new one is written.
                self._cassette.clear()
            self._held = stack.pop_all()

    def ask(self, request: httpx.Request, content: bytes) -> Question:
        """What the cassette says to a request. Raises CassetteMissError where it has to know and does not."""
        rules = self._cassette.redaction.rules(request.headers)
        body = body_of(content, request.headers.get("content-type", ""))
        path = str(request.extensions.get(PATH) or request.url.raw_path.decode())
        asked, names = canonical(request.method, path, body, rules)
        with self._lock:
            # Not the server's clock, which a test may have set: the application writes its own time into prompts.
            entry = self._cassette.find(asked, time.time())
            if entry is not None:
                entry.played = True
                self._report.replayed += 1
            elif self._replays_only:
                self._report.misses.append(self._miss(asked))
                raise CassetteMissError(self._report.misses[-1], code="cassette_miss")
        answer = entry.answer.restored([names.restored()]) if entry else None
        return Question(answer, partial(self._keep, asked, [*rules, names.in_answers()]))

    def _keep(self, request: ModelRequest, rules: Sequence[Rule], answer: Answer) -> None:
        clean = answer.rewritten(rules)
        with self._lock:
            if self._closed:
                log.info("cassette %s: an answer came after its end and is not recorded", self._report.path)
                return
            self._cassette.add(Entry(request, clean, time.time()))
            self._cassette.save()
            self._report.recorded += 1

    def report(self) -> Report:
        """What was done so far."""
        self._report.unused = sum(not entry.played for entry in self._cassette.known)
        return self._report

    def close(self) -> Report:
        """Record no more, and let others record on the file."""
        with self._lock:
            self._closed = True
            self._held.close()
        return self.report()

    def _miss(self, asked: ModelRequest) -> str:
        return (
            f"The cassette {self._report.path.name} has no answer to {asked.method} {asked.path}. "
            f"{self._cassette.difference(asked)}\nTo record what is missing: --mode new."
        )


@contextlib.contextmanager
def _held(path: Path) -> Iterator[None]:
    """Hold a cassette that is recorded on: two recordings would overwrite each other. Raises CassetteError."""
    place = path.with_name(f".{path.name}.lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = place.open("a+")
    except OSError as error:
        raise CassetteError(f"--cassette {path} cannot be written ({error.strerror})") from error
    with file:
        if not lock(file):
            raise CassetteError(f"--cassette {path} is being recorded on by another Understudy")
        try:
            yield
        finally:
            place.unlink(missing_ok=True)
