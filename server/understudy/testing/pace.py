"""How long runs take: until they were asked for so many times, or for so many seconds of the clock."""

import anyio

from understudy import clock


class Pace:
    """Holds each run before its first model call."""

    def __init__(self) -> None:
        self.polls = 0
        """Times that a run is retrieved before it goes on."""
        self.seconds = 0.0
        self._begun: set[str] = set()
        self._held: dict[str, Held] = {}

    def set(self, polls: int = 0, seconds: float = 0.0) -> None:
        """Hold the runs that begin from now on; those that are held go on."""
        self.polls, self.seconds = polls, seconds
        for held in self._held.values():
            held.released.set()

    @property
    def waiting(self) -> int:
        """How many runs wait to be asked for."""
        return sum(not held.released.is_set() for held in self._held.values())

    async def hold(self, run_id: str) -> None:
        """Wait as long as the run is to take; for each run once."""
        if run_id in self._begun or not (self.polls or self.seconds):
            return
        self._begun.add(run_id)
        if self.polls:
            held = self._held.setdefault(run_id, Held(self.polls))
            held.begun.set()
            try:
                await held.released.wait()
            finally:
                del self._held[run_id]
        if self.seconds:
            await clock.sleep(self.seconds)

    def polled(self, run_id: str) -> "Held | None":
        """Count that a run was asked for; what holds it on."""
        if not self.polls or (run_id in self._begun and run_id not in self._held):
            return None
        # It may be asked for before it has come to its first model call.
        held = self._held.setdefault(run_id, Held(self.polls))
        held.polls_left -= 1
        if held.polls_left < 0:
            held.released.set()
        return None if held.released.is_set() else held


class Held:
    """A run that waits to be asked for."""

    def __init__(self, polls: int) -> None:
        self.polls_left = polls
        self.begun = anyio.Event()
        self.released = anyio.Event()
