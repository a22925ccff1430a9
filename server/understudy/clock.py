"""The only source of time. A test may stop it, move it on, and give each of several worlds a time of its own."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import anyio


class Clock:
    """A time that runs with the machine's until it is frozen or moved."""

    def __init__(self) -> None:
        self._ahead = 0.0
        self._frozen: float | None = None
        self._due: list[float] = []
        self._changed = anyio.Event()

    def time(self) -> float:
        """Seconds since the epoch."""
        return time.time() + self._ahead if self._frozen is None else self._frozen

    @property
    def frozen(self) -> bool:
        """Whether it stands still."""
        return self._frozen is not None

    def freeze(self, at: float | None = None) -> None:
        """Let it stand still, at the present time if no other is given."""
        self._frozen = self.time() if at is None else at
        self._notify()

    def resume(self) -> None:
        """Let it run on from where it stands."""
        if self._frozen is not None:
            self._ahead, self._frozen = self._frozen - time.time(), None
            self._notify()

    def move_to(self, at: float) -> None:
        """Jump to a time; who slept until then or earlier wakes."""
        if self._frozen is None:
            self._ahead = at - time.time()
        else:
            self._frozen = at
        self._notify()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()

    def copied(self) -> "Clock":
        """Another clock that shows the same and goes on alike; nobody sleeps on it."""
        other = Clock()
        other._ahead, other._frozen = self._ahead, self._frozen
        return other

    @property
    def sleepers(self) -> list[float]:
        """When those wake who sleep on it."""
        now = self.time()
        return [due for due in self._due if due > now]

    async def sleep(self, seconds: float) -> None:
        """Wait until so much of this time is over, however that comes."""
        due = self.time() + seconds
        self._due.append(due)
        try:
            while (left := due - self.time()) > 0:
                with anyio.move_on_after(None if self.frozen else left):
                    await self._changed.wait()
        finally:
            self._due.remove(due)


_MACHINE = Clock()
_current: ContextVar[Clock] = ContextVar("clock", default=_MACHINE)


@contextmanager
def using(clock: Clock) -> Iterator[None]:
    """Give the block, and every task that begins in it, another clock."""
    token = _current.set(clock)
    try:
        yield
    finally:
        _current.reset(token)


def now() -> int:
    """Seconds since the epoch, as every `*_at` field of the API counts them."""
    return int(_current.get().time())


async def sleep(seconds: float) -> None:
    """Wait for what a test may want to skip; what retries or looks again waits in the machine's time."""
    await _current.get().sleep(seconds)
