"""The sandbox: one wall, and a session per key behind it."""

import functools
import hashlib
import logging
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

import anyio

from . import cgroups
from .errors import SandboxUnavailable
from .files import SessionFiles
from .folders import RunFolders, delete_tree, short_base, sweep
from .interpreter import Interpreter
from .jail import Jail, owner_of, uid_of
from .limits import SandboxLimits
from .pool import WarmPool
from .probe import LADDER, MAKERS, OFF, OTHERWISE, WALLS, Verdict, build_fonts, release_canary
from .session import KernelSession
from .wall import Boundary, Wall, WallOptions
from .watchdog import Watchdog

if TYPE_CHECKING:
    import zmq.asyncio

    from .kernel import JailedKernel, Kernel

log = logging.getLogger("understudy")

_CANARY = "canary"
_SWEEP, _SHORTEST = 5.0, 0.05
_AGAIN = 30.0
_NAME = 24
"""Hexadecimal digits in the name of a session's folder."""
_FIRST_CELL = 0.5
"""Seconds that a session's first call has for itself before the next jail is made."""


class Sandbox:
    """Hands out sessions; everything that it starts ends with `aclose`."""

    def __init__(
        self,
        *,
        wall: str = "auto",
        root: Path,
        python: Path | None = None,
        limits: SandboxLimits | None = None,
        options: WallOptions | None = None,
    ) -> None:
        if wall not in WALLS:
            raise ValueError(f"no such wall: {wall!r}; there are {', '.join(WALLS)}")
        self._wanted = wall
        self._root = root.absolute()
        self._python = python
        self._limits = limits or SandboxLimits()
        self._options = options or WallOptions()
        self._lock = anyio.Lock()
        self._verdict: Verdict | None = None
        self._probed_at = 0.0
        self._interpreter: Interpreter | None = None
        self._wall: Boundary | None = None
        self._folders: RunFolders | None = None
        self._context: zmq.asyncio.Context | None = None
        # A session exists while somebody holds it or while its kernel lives, so a key never has two.
        self._sessions: WeakValueDictionary[str, KernelSession] = WeakValueDictionary()
        self._live: dict[str, KernelSession] = {}
        self._starting = 0
        self._pool = WarmPool(self._root, self._limits, self._launch_early, self._has_room)
        self._watchdog = Watchdog(self._limits, lambda: (*self._live.values(), *self._pool.jails))
        self._closed = False

    async def probe(self) -> Verdict:
        """Which wall stands; where none did, that is looked at anew after a while, as it may have been mended."""
        async with self._lock:
            if self._verdict is None or (self._verdict.wall is None and time.monotonic() > self._probed_at + _AGAIN):
                self._verdict = await anyio.to_thread.run_sync(self._probe)
                self._probed_at = time.monotonic()
            return self._verdict

    def _probe(self) -> Verdict:
        if self._wanted == "off":
            return Verdict(None, OFF)
        try:
            self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
            sweep(self._root)
            return self._choose()
        except SandboxUnavailable as error:
            return Verdict(None, str(error))
        except OSError as error:
            return Verdict(None, f"The code interpreter cannot prepare its folders ({error}): make them writable.")

    def _choose(self) -> Verdict:
        refused: dict[str, None] = {}
        for name in LADDER if self._wanted == "auto" else (self._wanted,):
            try:
                self._wall, self._interpreter = self._build(MAKERS[name])
            except SandboxUnavailable as error:
                refused[str(error)] = None
            else:
                return Verdict(name, self._wall.warning)
        return Verdict(None, " ".join((*refused, OTHERWISE)))

    def _build(self, make: Callable[[WallOptions], Boundary]) -> tuple[Boundary, Interpreter]:
        """A wall that held when it was tried, and the Python behind it."""
        wall = make(self._options)
        interpreter = wall.inspect(self._python)
        if isinstance(wall, Wall) and wall.warning is None:
            with self._passing_jail(interpreter) as jail:
                release_canary(wall, jail)
            self._prepare_fonts(wall, interpreter)
        return wall, interpreter

    @contextmanager
    def _passing_jail(self, interpreter: Interpreter) -> Iterator[Jail]:
        """A jail like those of the sessions, with a user that no other server's has at this time."""
        files = SessionFiles(self._root / _CANARY, uid_of(secrets.token_hex(4)), self._limits)
        run = self._run_folder()
        try:
            files.delete()
            files.make()
            yield Jail(interpreter, self._limits, run, files.data, files.uid)
        finally:
            delete_tree(run)
            files.delete()

    def _prepare_fonts(self, wall: Wall, interpreter: Interpreter) -> None:
        folder = self._fonts_folder(wall, interpreter)
        if folder is None or any(folder.iterdir()):
            return
        with self._passing_jail(interpreter) as jail:
            fonts = build_fonts(wall, jail)
        if fonts is not None:
            fresh = folder / "fresh"
            fresh.write_bytes(fonts.content)
            fresh.rename(folder / fonts.name)

    def _fonts_folder(self, wall: Boundary, interpreter: Interpreter) -> Path | None:
        """Where matplotlib's list of fonts is kept; one per wall, Python and version."""
        if interpreter.matplotlib is None:
            return None
        named = f"{wall.name} {interpreter.executable} {interpreter.matplotlib}"
        folder = self._root / "fonts" / hashlib.sha256(named.encode()).hexdigest()[:16]
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _run_folder(self) -> Path:
        if self._folders is None:
            self._folders = RunFolders(short_base())
        return self._folders.make()

    async def session(self, key: str) -> KernelSession:
        """The session of a key, with its files of earlier times; its kernel starts with the first call."""
        self._check_open()
        verdict = await self.probe()
        if verdict.wall is None:
            raise SandboxUnavailable(verdict.hint)
        await self._close_overdue()
        session = self._sessions.get(key)
        if session is None:
            session = self._sessions[key] = self._make_session(key)
        session.used_at = time.monotonic()
        self._pool.expect(_FIRST_CELL)
        return session

    def expect(self) -> None:
        """Have a kernel ready while `watch` runs: code will be run soon, perhaps for a key that has no files yet."""
        self._pool.expect()

    @property
    def waiting(self) -> int:
        """Kernels that are ready for a session."""
        return len(self._pool.jails)

    def _make_session(self, key: str) -> KernelSession:
        path = self._path(key)
        kernel = None if path.exists() else self._pool.take(path)
        files = self._files(key)
        session = KernelSession(
            files,
            self._limits,
            start=functools.partial(self._start_kernel, key, files),
            on_call=self._watchdog.wake,
            on_end=functools.partial(self._forget, key),
            kernel=kernel,
        )
        if kernel is not None:
            self._live[key] = session
        return session

    def _path(self, key: str) -> Path:
        # Opaque, because the jail can read the names of folders that were mounted into it.
        return self._root / hashlib.sha256(key.encode()).hexdigest()[:_NAME]

    def _files(self, key: str) -> SessionFiles:
        path = self._path(key)
        uid = uid_of(path.name)
        if uid is not None:
            uid = owner_of(path / "data") or uid
        return SessionFiles(path, uid, self._limits)

    async def _start_kernel(self, key: str, files: SessionFiles, session: KernelSession) -> "Kernel":
        await self._make_room()
        self._starting += 1
        try:
            kernel = await self._launch(files)
        finally:
            self._starting -= 1
        self._live[key] = session
        return kernel

    async def _launch(self, files: SessionFiles) -> "Kernel":
        from .channels import make_context

        self._check_open()
        if self._context is None:
            self._context = make_context()
        assert self._wall is not None
        return await self._wall.start(self._jail(files), self._context)

    async def _launch_early(self, files: SessionFiles) -> "JailedKernel":
        from .kernel import JailedKernel

        kernel = await self._launch(files)
        assert isinstance(kernel, JailedKernel)
        return kernel

    def _has_room(self) -> bool:
        return not self._closed and self._kernels < self._limits.sessions

    @property
    def _kernels(self) -> int:
        return len(self._live) + self._starting + self._pool.count

    def _jail(self, files: SessionFiles) -> Jail:
        assert self._interpreter is not None
        assert self._wall is not None
        fonts = self._fonts_folder(self._wall, self._interpreter)
        groups = cgroups.enter() if isinstance(self._wall, Wall) and self._wall.grouped else None
        return Jail(
            self._interpreter,
            self._limits,
            self._run_folder(),
            files.data,
            files.uid,
            fonts=fonts,
            group=None if groups is None else groups.make(self._limits),
        )

    def _forget(self, key: str) -> None:
        self._live.pop(key, None)

    async def _make_room(self) -> None:
        """Close a kernel if there are too many: one that nobody has used, else the least recently used idle one."""
        while self._kernels >= self._limits.sessions:
            if await self._pool.give_way() or self._has_room():
                continue
            idle = [session for session in self._live.values() if not session.busy]
            if not idle:
                raise SandboxUnavailable(f"All {self._limits.sessions} interpreter sessions are busy: try again later.")
            await min(idle, key=lambda session: session.used_at).close()

    async def watch(self) -> None:
        """Hold all jails to their limits, close idle and old kernels, have others ready; the owner runs this.

        Without it, a jail is held by what the operating system and its wall hold, and as a whole only between calls.
        """
        async with anyio.create_task_group() as group:
            group.start_soon(self._watchdog.run)
            group.start_soon(self._sweep)
            group.start_soon(self._keep_warm)

    async def _keep_warm(self) -> None:
        await self.probe()
        if isinstance(self._wall, Wall) and self._wall.follows:
            await self._pool.run()

    async def _sweep(self) -> None:
        while True:
            await anyio.sleep(max(_SHORTEST, min(_SWEEP, self._limits.idle / 2, self._limits.age / 2)))
            try:
                await self._close_overdue()
            except Exception:
                # What one session cannot do must not end the watch over all.
                log.exception("an overdue session of the code interpreter could not be closed")

    async def _close_overdue(self) -> None:
        await self._pool.close_overdue()
        for session in list(self._live.values()):
            if session.overdue:
                await session.close()

    async def discard(self, key: str) -> None:
        """End a session's kernel and delete its files."""
        session = self._sessions.get(key)
        if session is not None:
            await session.close()
        await anyio.to_thread.run_sync(self._files(key).delete)

    async def copy_files(self, key: str, target: str) -> None:
        """Give a session that has not begun the files of another; what is no regular file stays behind."""
        await anyio.to_thread.run_sync(self._files(target).copy_from, self._files(key))

    async def keep_only(self, keys: Iterable[str]) -> None:
        """Delete the files of all other sessions, which a server that was killed could not discard any more."""
        await anyio.to_thread.run_sync(self._delete_others, keys)

    def _delete_others(self, keys: Iterable[str]) -> None:
        kept = {self._path(key) for key in keys}
        for path in self._root.glob("[0-9a-f]" * _NAME):
            if path not in kept:
                delete_tree(path)

    async def aclose(self) -> None:
        """End all kernels; the files stay."""
        self._closed = True
        async with anyio.create_task_group() as group:
            for session in list(self._sessions.values()):
                group.start_soon(session.close)
            group.start_soon(self._pool.aclose)
        if self._context is not None:
            self._context.term()
            self._context = None
        if self._folders is not None:
            self._folders.remove()
            self._folders = None

    def _check_open(self) -> None:
        if self._closed:
            raise SandboxUnavailable("The code interpreter is shutting down.")
