"""The walls as Jupyter's kernel provisioner: how a kernel's process starts and how all of it ends.

Imported with the first session only, since jupyter_client takes its time.
"""

import os
import subprocess
import time
import uuid
from contextlib import suppress
from typing import IO, Any

import anyio
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from .excess import Excess
from .jail import Jail
from .wall import Wall

_MOMENT = 0.005
_KEPT_STDERR = 4096


class WalledProvisioner(LocalProvisioner):
    """A kernel's process behind a wall, spawned and ended without a kernel manager."""

    _process: subprocess.Popen[bytes]
    _stdin: IO[bytes]
    _stderr: IO[bytes]

    def __init__(self, wall: Wall, jail: Jail) -> None:
        spec = KernelSpec(argv=[str(jail.interpreter.executable)], display_name="Understudy", language="python")
        super().__init__(kernel_id=str(uuid.uuid4()), kernel_spec=spec)
        self._wall = wall
        self._jail = jail
        self.stderr = b""

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> Any:  # noqa: ARG002
        """Start the jail; the command is the wall's own, the kernel's arguments are in the jail's."""
        self._spawn()
        return self.connection_info

    def _spawn(self) -> None:
        # From this very thread: bubblewrap dies with the thread that spawned it.
        with self._wall.command(self._jail) as command:
            group = self._jail.group
            self._process = subprocess.Popen(  # noqa: S603 - our own command line
                command.argv if group is None else group.enter(command.argv),
                env=command.environment,
                cwd=command.folder,
                pass_fds=command.pass_fds,
                start_new_session=True,
                stdin=subprocess.PIPE,  # that it breaks tells a jail that is being built that its server is gone
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
        assert self._process.stdin is not None
        assert self._process.stderr is not None
        self._stdin, self._stderr = self._process.stdin, self._process.stderr
        os.set_blocking(self._stderr.fileno(), False)
        self.process, self.pid = self._process, self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process lives; asking also keeps its stderr from filling up."""
        if self.process is None:
            return False
        with suppress(BlockingIOError):
            # One piece, not all there is: the code may write faster than it is read, without an end.
            self.stderr = (self.stderr + os.read(self._stderr.fileno(), 65536))[-_KEPT_STDERR:]
        return self._process.poll() is None

    @property
    def limit(self) -> Excess | None:
        """The limit that ended it, if that can be told."""
        status = None if self.process is None else self._process.poll()
        return None if status is None else self._wall.limit(status)

    @property
    def top(self) -> int:
        """The process above all others of the jail; 0 where that is not known."""
        return self._wall.top(self._process, self._jail.sockets)

    def end(self) -> None:
        """Kill everything behind the wall, without waiting."""
        if self._jail.group is not None:
            self._jail.group.end()
        self._wall.end(self._process)

    async def kill(self, restart: bool = False) -> None:  # noqa: ARG002
        """Kill everything behind the wall and wait until it is gone."""
        deadline = time.monotonic() + 10
        while self.running and time.monotonic() < deadline:
            self.end()
            await anyio.sleep(_MOMENT)
        if self.process is not None:
            self._stdin.close()
            self._stderr.close()
            self.process = None
