"""The walls as Jupyter's kernel provisioners: how a kernel's process starts and how all of it ends.

Imported with the first session only, since jupyter_client takes its time.
"""

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import anyio
from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from . import bubblewrap
from .jail import INSIDE, Jail

_MOMENT = 0.005
_KEPT_STDERR = 4096


class WalledProvisioner(LocalProvisioner):
    """What the walls share: a process of ours, spawned and ended without a kernel manager."""

    _process: subprocess.Popen[bytes]
    _stderr: IO[bytes]

    def __init__(self, jail: Jail, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.jail = jail
        self.stderr = b""

    def spawn(self, argv: list[str], environment: dict[str, str], **options: Any) -> None:
        """Start the process, from this very thread: bubblewrap dies with the thread that spawned it."""
        self._process = subprocess.Popen(  # noqa: S603 - our own command line
            argv,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            **options,
        )
        assert self._process.stderr is not None
        self._stderr = self._process.stderr
        os.set_blocking(self._stderr.fileno(), False)
        self.process, self.pid = self._process, self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process lives; asking also keeps its stderr from filling up."""
        if self.process is None:
            return False
        with suppress(BlockingIOError):
            while chunk := os.read(self._stderr.fileno(), 65536):
                self.stderr = (self.stderr + chunk)[-_KEPT_STDERR:]
        return self._process.poll() is None

    def end(self) -> None:
        """Kill everything behind the wall, without waiting."""
        raise NotImplementedError

    async def kill(self, restart: bool = False) -> None:  # noqa: ARG002
        """Kill everything behind the wall and wait until it is gone."""
        deadline = time.monotonic() + 10
        while self.running and time.monotonic() < deadline:
            self.end()
            await anyio.sleep(_MOMENT)
        if self.process is not None:
            self._stderr.close()
            self.process = None


class BubblewrapProvisioner(WalledProvisioner):
    """A kernel in a bubblewrap jail."""

    def __init__(self, jail: Jail, bwrap: str, **kwargs: Any) -> None:
        super().__init__(jail, **kwargs)
        self.bwrap = bwrap

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> Any:  # noqa: ARG002
        """Start the jail; the command is the wall's own, `cmd` the kernel's arguments in it."""
        with bubblewrap.command(self.bwrap, self.jail) as command:
            self.spawn(command.argv, {}, pass_fds=command.pass_fds)
        return self.connection_info

    def end(self) -> None:
        """Kill the jail's first process, with which the system kills all others.

        The outer bubblewrap, which waits for it, then ends only when nothing of the jail is left.
        """
        if not _kill_child(self._process.pid):
            self._process.kill()


class UnsafeLocalProvisioner(WalledProvisioner):
    """A kernel as a plain process of the server's own user."""

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> Any:  # noqa: ARG002
        """Start the kernel in the data folder."""
        jail = self.jail
        argv = [str(jail.interpreter.executable), "-s", "-P", str(INSIDE / "boot.py")]
        self.spawn(argv, _local_environment(jail), cwd=jail.data, start_new_session=True)
        return self.connection_info

    def end(self) -> None:
        """Kill the kernel's process group; what left it on purpose survives."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)


def _local_environment(jail: Jail) -> dict[str, str]:
    limits = jail.rlimits()
    # Without a user namespace this one would count every process of the server's user.
    del limits["NPROC"]
    home = jail.run / "home"
    home.mkdir()
    told = {"HOME": str(home), "UNDERSTUDY_BOOT": jail.settings(uid=None, limits=limits)}
    # The kernel looks now and then whether its parent still lives.
    told["JPY_PARENT_PID"] = str(os.getpid())
    if jail.fonts is not None:
        told["MPLCONFIGDIR"] = str(jail.fonts)
    return {**jail.environment(), **told}


def _kill_child(pid: int) -> bool:
    """Kill a process's only child, surely that one: a pidfd cannot name a successor of the same number."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    try:
        named = children.read_text().split()
        fd = os.pidfd_open(int(named[0]))
    except (OSError, IndexError, AttributeError):
        return False
    try:
        if children.read_text().split() != named:
            return False
        signal.pidfd_send_signal(fd, signal.SIGKILL)
    except OSError:
        return False
    finally:
        os.close(fd)
    return True
