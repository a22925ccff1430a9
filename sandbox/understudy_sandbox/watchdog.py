"""The host's eye on all live jails: ends the kernel whose jail uses more than it may.

It samples, so what is used can pass a limit for a moment; rlimits and the sizes of the jail's own file systems hold
each single process and file.
"""

import logging
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import anyio

from . import processes
from .excess import Excess
from .limits import SandboxLimits

if TYPE_CHECKING:
    from .files import SessionFiles
    from .kernel import Kernel

log = logging.getLogger("understudy")

_NAMELESS = ("/memfd:",)
_NEAR, _BUSY, _IDLE = 0.1, 0.25, 2.0
"""Seconds between two looks: where a limit is near, while a call runs, and else."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a look at one jail found."""

    excess: Excess | None
    near: bool = False
    """Whether half of the limit is used, so that the next look should come soon."""


class Watched(Protocol):
    """A session, or a jail that waits for one."""

    @property
    def busy(self) -> bool:
        """Whether it runs a call."""

    @property
    def kernel(self) -> "Kernel | None":
        """What is watched, if there is one."""

    @property
    def files(self) -> "SessionFiles":
        """Its folder."""


class Watchdog:
    """Watches all jails: a task for memory, which fills fast, and one for files, where a look may take long."""

    def __init__(self, limits: SandboxLimits, sessions: Callable[[], Iterable[Watched]]) -> None:
        self._rounds = (_Round(sessions, _Memory(limits), rest=0.5), _Round(sessions, _files, rest=4.0))

    def wake(self) -> None:
        """A call begins."""
        for one in self._rounds:
            one.wake.set()

    async def run(self) -> None:
        """Watch until cancelled."""
        async with anyio.create_task_group() as group:
            for one in self._rounds:
                group.start_soon(one.run)


class _Round:
    """Looks at the sessions again and again, and ends the kernels of those that are beyond a limit."""

    def __init__(
        self,
        sessions: Callable[[], Iterable[Watched]],
        measure: Callable[[Watched, "Kernel"], Look],
        rest: float,
    ) -> None:
        self._sessions = sessions
        self._measure = measure
        self._rest = rest
        """Times as long as a look took is waited: counting ten thousand files must not become all that is done."""
        self.wake = anyio.Event()
        # A thread of its own: the others may all be busy copying files.
        self._thread = anyio.CapacityLimiter(1)

    async def run(self) -> None:
        all_due = 0.0
        while True:
            started = time.monotonic()
            sessions = list(self._sessions())
            if started < all_due:
                sessions = [session for session in sessions if session.busy]
            else:
                all_due = started + _IDLE
            near = [await self._look(session) for session in sessions]
            busy = any(session.busy for session in self._sessions())
            pause = _NEAR if any(near) else _BUSY if busy else _IDLE
            await self._pause(max(pause, self._rest * (time.monotonic() - started)), until_woken=not busy)

    async def _pause(self, seconds: float, until_woken: bool) -> None:
        self.wake = anyio.Event()
        with anyio.move_on_after(seconds):
            await (self.wake.wait() if until_woken else anyio.sleep_forever())

    async def _look(self, session: Watched) -> bool:
        """Look at one session; whether to look again soon."""
        kernel = session.kernel
        if kernel is None or kernel.struck or not kernel.running:
            return False
        try:
            look = await anyio.to_thread.run_sync(self._measure, session, kernel, limiter=self._thread)
            if look.excess is not None:
                kernel.strike(look.excess)
        except FileNotFoundError:
            return False  # its files were deleted meanwhile
        except Exception:
            log.exception("a session of the code interpreter could not be held to its limits")
            return False
        return look.near


class _Memory:
    """Measures a jail's processes and its file systems in memory, and counts them where the system does not."""

    def __init__(self, limits: SandboxLimits) -> None:
        self._limit = limits.memory
        self._processes = limits.processes

    def __call__(self, session: Watched, kernel: "Kernel") -> Look:  # noqa: ARG002
        pids = processes.tree(kernel.pid, math.inf if kernel.counted else self._processes)
        # Who ended since it was found counts: a bomb's processes may be others at each look.
        if not kernel.counted and max(len(pids), processes.threads(pids)) > self._processes:
            return Look("processes")
        # A jail's file systems are measured whole; without a wall only what its processes hold can be known.
        files = processes.scratch(pids[-1] if len(pids) < 2 else pids[1], kernel.scratch)
        files += processes.memory_files(pids, _NAMELESS if kernel.scratch else (*_NAMELESS, "/dev/shm/"))  # noqa: S108
        at_most = processes.resident(pids) + files
        over = at_most > self._limit and processes.proportional(pids) + files > self._limit
        return Look("memory" if over else None, near=at_most > self._limit // 2)


def _files(session: Watched, kernel: "Kernel") -> Look:
    """Measure /mnt/data, what was deleted from it but is still held, and what else the code may fill on the disk."""
    snapshot = session.files.snapshot(also=kernel.folders)
    hidden = processes.deleted_files(processes.tree(kernel.pid), session.files.devices(kernel.folders))
    return Look(session.files.excess(snapshot, hidden))
