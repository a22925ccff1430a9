"""One started kernel: what sessions know of any, and the one whose process runs here, behind a wall."""

import os
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import zmq.asyncio

from .channels import Channels, Message, ProtocolError, Wires
from .errors import SandboxUnavailable
from .excess import Excess
from .folders import delete_tree
from .jail import DATA, Jail
from .provisioner import WalledProvisioner
from .transcript import Names
from .wall import Wall

if TYPE_CHECKING:
    from .courier import Courier

_MOMENT = 0.005
_ECHO = 0.3

_ARGUMENTS = ("--HistoryManager.enabled=False", "--InteractiveShellApp.ignore_cwd=True", "--colors=NoColor")

# The data folder comes last, and only once no code but ours has run: a file in it named like a library that
# ipykernel looks for must not run before the sockets are connected.
_PREPARE = "import sys; sys.path.append({data!r}); del sys"


class Kernel(ABC):
    """A kernel that listens."""

    channels: Wires
    started_at: float
    names: Names
    """What its paths are to be called; its folder of data is /mnt/data."""
    pid: int
    """The process above all of the jail's; 0 where that is not known."""
    folders: tuple[Path, ...]
    """The folders that the code may be able to write to besides its data: of its sockets, and the wall's."""
    counted: bool
    """Whether the system holds the number of its processes to the limit."""
    scratch: tuple[str, ...]
    """The jail's own file systems in memory."""
    struck: Excess | None
    """The limit that it was ended for."""
    courier: "Courier | None" = None
    """Carries files, where the kernel does not see the session's folder itself."""

    @property
    @abstractmethod
    def running(self) -> bool:
        """Whether it lives."""

    @abstractmethod
    def strike(self, excess: Excess) -> None:
        """Kill it for what its jail uses, without waiting."""

    @abstractmethod
    def end(self) -> None:
        """Kill it without waiting."""

    @abstractmethod
    async def close(self) -> str:
        """Kill it and wait until nothing is left of it; what it said of its end."""


class JailedKernel(Kernel):
    """A kernel whose process runs here, behind a wall. Made by `start` only."""

    def __init__(self, wall: Wall, jail: Jail, channels: Channels) -> None:
        self._wall = wall
        self._jail = jail
        self._provisioner = WalledProvisioner(wall, jail)
        self._channels = channels
        self.channels = channels
        self.started_at = time.monotonic()
        self.names = wall.names(jail)
        self.pid = 0
        self.counted = wall.counted
        self.scratch = wall.scratch
        self._struck: Excess | None = None

    @classmethod
    async def start(cls, wall: Wall, jail: Jail, context: zmq.asyncio.Context) -> "JailedKernel":
        """Start a kernel and wait until it has run its first, empty request."""
        jail.sockets.mkdir()
        if jail.uid is not None:
            os.chown(jail.sockets, jail.uid, jail.uid)
        channels = Channels(context, jail.sockets, jail.limits)
        folder = wall.sees(jail.sockets, "/run/k")
        channels.write_connection_file(folder)
        jail = replace(jail, arguments=("-f", f"{folder}/c.json", *_ARGUMENTS))
        kernel = cls(wall, jail, channels)
        try:
            await kernel._provisioner.launch_kernel([])
            with anyio.fail_after(jail.limits.start_timeout):
                await kernel._greet(_PREPARE.format(data=wall.sees(jail.data, DATA)))
        except BaseException as error:
            with anyio.CancelScope(shield=True):
                said = await kernel.close()
            if isinstance(error, TimeoutError | ProtocolError | OSError):
                raise SandboxUnavailable(f"The code interpreter did not start: {error or 'too slow'}{said}") from error
            raise
        return kernel

    async def _greet(self, prepare: str) -> None:
        while not self._channels.listening():
            self._check_alive()
            await anyio.sleep(_MOMENT)
        self._channels.connect()
        self.pid = self._provisioner.top
        if self._jail.uid is not None:
            # From now on the jail has nothing to write here: neither other sockets nor files beyond every limit.
            os.chown(self._jail.sockets, 0, 0)
        # The subscription to the output travels on its own: ask until an answer comes both ways.
        while not await self._echoes(prepare):
            prepare = "None"

    async def prepare(self, code: str) -> None:
        """Run code of ours before any other has run, without a trace in the names and the counter of cells.

        Raises SandboxUnavailable where that does not end; that it fails does not matter.
        """
        try:
            with anyio.fail_after(self._jail.limits.start_timeout):
                await self._echoes(code)
        except (TimeoutError, ProtocolError) as error:
            raise SandboxUnavailable(f"The code interpreter did not start: {error or 'too slow'}") from error

    async def _echoes(self, code: str) -> bool:
        """Whether a request is answered, and its end is heard on the output channel too."""
        request = self.channels.execute(code, silent=True)
        replied, deadline = False, float("inf")
        while time.monotonic() < deadline:
            self._check_alive()
            await self.channels.wait(_ECHO)
            for message in self.channels.receive():
                if message.parent != request:
                    continue
                if is_idle(message):
                    return True
                if message.channel == "shell" and not replied:
                    replied, deadline = True, time.monotonic() + _ECHO
        return False

    def _check_alive(self) -> None:
        if not self._provisioner.running:
            raise ProtocolError("its process ended")

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._provisioner.running

    @property
    def folders(self) -> tuple[Path, ...]:  # type: ignore[override]
        """The folders that the code may be able to write to besides its data: of its sockets, and the wall's."""
        return (self._jail.sockets, *(self._jail.run / name for name in self._wall.folders))

    @property
    def struck(self) -> Excess | None:  # type: ignore[override]
        """The limit that it was ended for."""
        if self._struck is None and self._jail.group is not None and self._jail.group.starved:
            self._struck = "memory"
        return self._struck or self._provisioner.limit

    def strike(self, excess: Excess) -> None:
        """Kill it for what its jail uses, without waiting."""
        self._struck = excess
        self.end()

    def end(self) -> None:
        """Kill it without waiting."""
        if self._provisioner.running:
            self._provisioner.end()

    async def close(self) -> str:
        """Kill it, wait until nothing is left, delete its run folder; what it said on stderr."""
        await self._provisioner.kill()
        self._channels.close()
        with suppress(OSError):
            delete_tree(self._jail.run)
        if self._jail.group is not None:
            await anyio.to_thread.run_sync(self._jail.group.remove)
        said = self._provisioner.stderr.decode(errors="replace").strip()
        return f" ({said.splitlines()[-1]})" if said else ""


def is_idle(message: Message) -> bool:
    """Whether this tells that the kernel has dealt with a request."""
    return message.kind == "status" and message.content.get("execution_state") == "idle"
