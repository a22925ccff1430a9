"""What all walls have in common: how a process is started behind one, how all of it ends, what is said of failures."""

import os
import platform
import re
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from .errors import SandboxUnavailable
from .excess import Excess
from .inside.seccomp import ARCHITECTURES
from .interpreter import Interpreter, inspect
from .jail import DATA, Jail
from .transcript import Names

if TYPE_CHECKING:
    import zmq.asyncio

    from .kernel import Kernel

LINKS = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
"""Folders of the root that may be links to those of /usr."""
ETC = ("ld.so.cache", "ld.so.conf", "ld.so.conf.d", "fonts", "alternatives", "mime.types")
"""What programs need of /etc, and tells of nobody."""

_MESSAGES = (
    (
        r"execvp .*|Permission denied|No such file",
        "the interpreter is not readable behind the wall: name one that every user may read with --sandbox-python",
    ),
    (
        r"ModuleNotFoundError|ImportError",
        (
            "the kernel cannot be imported behind the wall: pip install ipykernel pandas matplotlib "
            "into the Python that --sandbox-python names"
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class Command:
    """A process to start."""

    argv: list[str]
    environment: dict[str, str]
    pass_fds: tuple[int, ...] = ()
    folder: Path | None = None
    """Where it starts, if that matters."""


@dataclass(frozen=True, slots=True)
class WallOptions:
    """What single walls are told, beside what all are."""

    image: str = "understudy-kernel"
    """The image of the containers."""
    url: str | None = None
    """The Jupyter gateway's."""
    token: str | None = None
    """What it is shown."""


class Boundary(ABC):
    """What stands between the code and this host; making one raises SandboxUnavailable where it cannot be."""

    name: ClassVar[str]
    warning: str | None = None
    """What its users must know, if it is less than a wall."""

    @abstractmethod
    def inspect(self, python: Path | None) -> Interpreter:
        """The Python that runs behind it, the server's own if None; raises SandboxUnavailable where that cannot be."""

    @abstractmethod
    async def start(self, jail: Jail, context: "zmq.asyncio.Context") -> "Kernel":
        """Start a kernel; raises SandboxUnavailable."""


class Wall(Boundary):
    """One way to run a jail on this host, and yet apart from it."""

    rooted: ClassVar[bool] = True
    """Whether a jail has a root of its own, where our folders have other names."""
    counted: bool = True
    """Whether the system holds a jail's number of processes to the limit."""
    follows: ClassVar[bool] = True
    """Whether a running jail keeps its folder of data when that gets another name."""
    grouped: ClassVar[bool] = True
    """Whether what is started for a jail can be put into a control group, and all of the jail with it."""
    scratch: ClassVar[tuple[str, ...]] = ()
    """File systems in memory that each jail has to itself, by their names inside."""
    folders: ClassVar[Mapping[str, str]] = {}
    """Folders on the disk, in a jail's run folder, that its code may fill besides /mnt/data, and what it calls them."""
    messages: ClassVar[tuple[tuple[str, str], ...]] = ()
    """Patterns of what it may say when it cannot start a jail, each with the remedy."""

    @abstractmethod
    def command(self, jail: Jail) -> AbstractContextManager[Command]:
        """What to start for a jail; descriptors in it live as long as the context."""

    @abstractmethod
    def end(self, process: subprocess.Popen[bytes]) -> None:
        """Kill everything behind the wall, without waiting; the process is what was started."""

    def inspect(self, python: Path | None) -> Interpreter:
        """One of this host."""
        return inspect(python)

    async def start(self, jail: Jail, context: "zmq.asyncio.Context") -> "Kernel":
        """Start a kernel in the jail."""
        from .kernel import JailedKernel

        return await JailedKernel.start(self, jail, context)

    def names(self, jail: Jail) -> Names:
        """How the paths of a jail are to be called."""
        roots = sorted(map(str, jail.interpreter.roots), key=len, reverse=True)
        folders = {} if self.rooted else {str(jail.data): DATA}
        folders |= {str(jail.run / name): meant for name, meant in self.folders.items()}
        return Names(folders, {root: "/opt/python" for root in roots if root != "/usr"})

    def top(self, process: subprocess.Popen[bytes], sockets: Path) -> int:  # noqa: ARG002
        """The process above all others of a jail whose kernel listens; 0 where it cannot be known."""
        return process.pid

    def limit(self, status: int) -> Excess | None:  # noqa: ARG002
        """The limit that ended a jail, if its exit status tells."""
        return None

    def sees(self, path: Path, name: str) -> str:
        """How a folder of ours is called on the other side: by this name, where there is a root for it."""
        return name if self.rooted else str(path)

    def run(self, jail: Jail) -> "subprocess.CompletedProcess[str]":
        """Run one of the short roles to its end."""
        with self.command(jail) as command, _open_input() as stdin:
            try:
                return subprocess.run(  # noqa: S603 - our own command line
                    command.argv,
                    stdin=stdin,
                    env=command.environment,
                    pass_fds=command.pass_fds,
                    cwd=command.folder,
                    capture_output=True,
                    text=True,
                    timeout=60,
                )
            except subprocess.TimeoutExpired:
                return subprocess.CompletedProcess(command.argv, 1, "", "it did not end within a minute")

    def explain(self, message: str) -> str:
        """The remedy for what was said when a jail could not start."""
        for pattern, remedy in (*self.messages, *_MESSAGES):
            if re.search(pattern, message):
                return remedy
        return "see the message"


@contextmanager
def _open_input() -> Iterator[int]:
    """An input that says nothing and ends with the context."""
    ours, theirs = os.pipe()
    try:
        yield ours
    finally:
        os.close(ours)
        os.close(theirs)


def need_filter() -> None:
    """Raise SandboxUnavailable where there is no system call filter for this machine."""
    if not sys.platform.startswith("linux"):
        raise SandboxUnavailable("The code interpreter's wall needs Linux: run the server there.")
    if platform.machine() not in ARCHITECTURES:
        raise SandboxUnavailable(f"The code interpreter's wall knows no {platform.machine()} processor.")
