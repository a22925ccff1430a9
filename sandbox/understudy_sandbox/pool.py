"""Jails that wait for a session: their kernels run, and have imported what most code imports, before anybody asks.

A jail's folder of data is part of it. So one goes only to a key that has no files yet, whose folder it then becomes; no
code of anybody else ever ran in it.
"""

import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import anyio

from .errors import SandboxUnavailable
from .files import SessionFiles
from .folders import RunFolders
from .jail import uid_of
from .limits import SandboxLimits

if TYPE_CHECKING:
    from .kernel import JailedKernel

log = logging.getLogger("understudy")

_IMPORTED = ("pandas", "matplotlib.pyplot", "matplotlib_inline.backend_inline")


@dataclass(frozen=True, slots=True)
class WarmJail:
    """A kernel that nobody has used, and its folder."""

    kernel: "JailedKernel"
    files: SessionFiles
    since: float = field(default_factory=time.monotonic)
    busy: ClassVar[bool] = False

    @property
    def sound(self) -> bool:
        """Whether it lives and is not about to be ended."""
        return self.kernel.running and self.kernel.struck is None


class WarmPool:
    """So many jails, made by `run` once there is reason to think that code will be run."""

    def __init__(
        self,
        root: Path,
        limits: SandboxLimits,
        start: Callable[[SessionFiles], Awaitable["JailedKernel"]],
        has_room: Callable[[], bool],
    ) -> None:
        self._root = root
        self._limits = limits
        self._start = start
        self._has_room = has_room
        self._folders: RunFolders | None = None
        self._jails: list[WarmJail] = []
        self._making = 0
        self._wanted = anyio.Event()
        self._not_before = 0.0
        self._lock = anyio.Lock()

    @property
    def jails(self) -> tuple[WarmJail, ...]:
        """Those that wait."""
        return tuple(self._jails)

    @property
    def count(self) -> int:
        """Jails that wait or are being made."""
        return len(self._jails) + self._making

    def expect(self, seconds: float = 0.0) -> None:
        """Code will be run: have jails ready, but start none for so long."""
        self._not_before = max(self._not_before, time.monotonic() + seconds)
        self._wanted.set()

    def take(self, path: Path) -> "JailedKernel | None":
        """The kernel of a jail whose folder is now `path`, where nothing was; None where no jail waits."""
        for jail in self._jails:
            if jail.sound:
                jail.files.path.rename(path)
                self._jails.remove(jail)
                jail.kernel.started_at = time.monotonic()
                return jail.kernel
        return None

    async def run(self) -> None:
        """Make jails when they are expected, until cancelled."""
        while True:
            await self._wanted.wait()
            await anyio.sleep(max(0.0, self._not_before - time.monotonic()))
            self._wanted = anyio.Event()
            try:
                await self.close_overdue()
                await self._fill()
            except SandboxUnavailable as error:
                log.info("code interpreter: no jail waits: %s", error)
            except Exception:
                log.exception("code interpreter: no jail waits")

    async def _fill(self) -> None:
        async with self._lock:
            while len(self._jails) < self._limits.warm and self._has_room():
                self._making = 1
                try:
                    self._jails.append(await self._make())
                finally:
                    self._making = 0

    async def _make(self) -> WarmJail:
        if self._folders is None:
            # Beside the sessions' folders, as one becomes theirs by its name alone.
            self._folders = RunFolders(self._root)
        files = SessionFiles(self._folders.make(), uid_of(secrets.token_hex(4)), self._limits)
        files.make()
        try:
            kernel = await self._start(files)
        except BaseException:
            files.delete()
            raise
        try:
            for name in _IMPORTED:
                await kernel.prepare(f"__import__({name!r})")
        except BaseException:
            await self._end(WarmJail(kernel, files))
            raise
        return WarmJail(kernel, files)

    async def give_way(self) -> bool:
        """End a jail, also one that is being made; whether there was one."""
        async with self._lock:
            if not self._jails:
                return False
            await self._end(self._jails.pop())
            return True

    async def close_overdue(self) -> None:
        """End the jails that died, and those that waited for as long as a session may be idle."""
        latest = time.monotonic() - self._limits.idle
        for jail in self.jails:
            if jail in self._jails and (not jail.sound or jail.since < latest):
                self._jails.remove(jail)
                await self._end(jail)

    async def _end(self, jail: WarmJail) -> None:
        with anyio.CancelScope(shield=True):
            await jail.kernel.close()
            await anyio.to_thread.run_sync(jail.files.delete)

    async def aclose(self) -> None:
        """End all of them."""
        while await self.give_way():
            pass
        if self._folders is not None:
            self._folders.remove()
            self._folders = None
