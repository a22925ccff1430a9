"""No wall at all: a kernel as a plain process of the server's own user, for code that its user trusts."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from .jail import INSIDE, Jail
from .wall import Command, Wall


class UnsafeLocal(Wall):
    """Kernels in the data folder, with the limits that the operating system sets to a process."""

    name = "unsafe-local"
    warning = (
        "The code interpreter runs without any wall (unsafe-local): code that the model writes can read, change and "
        "send whatever this user can. Use it only with code you would run yourself."
    )
    rooted = False
    counted = False
    folders = {"home": "/home/sandbox"}  # noqa: RUF012
    follows = False

    @contextmanager
    def command(self, jail: Jail) -> Iterator[Command]:
        """The kernel in a process group of its own, by which it is ended."""
        argv = [str(jail.interpreter.executable), "-s", "-P", str(INSIDE / "boot.py")]
        yield Command(argv, _environment(jail), folder=jail.data)

    def end(self, process: subprocess.Popen[bytes]) -> None:
        """Kill the kernel's process group; what left it on purpose survives."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)


def _environment(jail: Jail) -> dict[str, str]:
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
