"""The host's eye on all live jails: ends the kernel whose jail uses more than it may.

It samples, so what is used can pass a limit for a moment; rlimits and the sizes of the jail's own file systems hold
each single process and file.
"""

import logging
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import anyio

from . import processes
from .excess import Excess
from .limits import SandboxLimits

if TYPE_CHECKING:
    from .kernel import Kernel
    from .session import KernelSession

log = logging.getLogger("understudy")

_NAMELESS = ("/memfd:",)
_BUSY, _IDLE = 0.25, 2.0
_REST = 4
"""Times as long as a look took is rested after it: counting ten thousand files must not become all that is done."""


class Watchdog:
    """One task for all sessions: four looks a second while a call runs, one in two seconds at what is idle."""

    def __init__(self, limits: SandboxLimits, sessions: Callable[[], Iterable["KernelSession"]]) -> None:
        self._limits = limits
        self._sessions = sessions
        self._wake = anyio.Event()
        # A thread of its own: others may all be busy copying files.
        self._thread = anyio.CapacityLimiter(1)

    def wake(self) -> None:
        """A call begins."""
        self._wake.set()

    async def run(self) -> None:
        """Watch until cancelled."""
        all_due = 0.0
        while True:
            started = time.monotonic()
            sessions = list(self._sessions())
            if started < all_due:
                sessions = [session for session in sessions if session.busy]
            else:
                all_due = started + _IDLE
            await self.look(sessions)
            busy = any(session.busy for session in self._sessions())
            took = time.monotonic() - started
            await self._pause(max(_BUSY if busy else _IDLE, _REST * took), busy)

    async def _pause(self, seconds: float, busy: bool) -> None:
        if busy:
            await anyio.sleep(seconds)
            return
        self._wake = anyio.Event()
        with anyio.move_on_after(seconds):
            await self._wake.wait()

    async def look(self, sessions: Iterable["KernelSession"]) -> None:
        """One look; memory first, since that takes a moment only and is what others lack first."""
        sessions = list(sessions)
        for measure in (self._memory, self._disk):
            for session in sessions:
                kernel = session.kernel
                if kernel is None or kernel.struck or not kernel.running:
                    continue
                try:
                    excess = await anyio.to_thread.run_sync(measure, session, kernel, limiter=self._thread)
                except FileNotFoundError:
                    continue  # its files were deleted meanwhile
                except Exception:
                    log.exception("a session of the code interpreter could not be measured")
                    continue
                if excess is not None:
                    kernel.strike(excess)

    def _memory(self, session: "KernelSession", kernel: "Kernel") -> Excess | None:  # noqa: ARG002
        pids = processes.tree(kernel.pid)
        # A jail's file systems are measured whole; without a wall only what its processes hold can be known.
        files = processes.scratch(pids[-1] if len(pids) < 2 else pids[1], kernel.scratch)
        files += processes.memory_files(pids, _NAMELESS if kernel.scratch else (*_NAMELESS, "/dev/shm/"))  # noqa: S108
        limit = self._limits.memory
        over = processes.resident(pids) + files > limit and processes.proportional(pids) + files > limit
        return "memory" if over else None

    def _disk(self, session: "KernelSession", kernel: "Kernel") -> Excess | None:
        snapshot = session.files.snapshot(also=kernel.sockets)
        hidden = processes.deleted_files(processes.tree(kernel.pid), session.files.devices(kernel.sockets))
        return session.files.excess(snapshot, hidden)
