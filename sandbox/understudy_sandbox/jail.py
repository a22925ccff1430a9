"""What a wall is asked to build: one jail for one process, in folders of ours."""

import json
import os
from dataclasses import dataclass, field
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Literal

from .cgroups import Group
from .interpreter import Interpreter
from .limits import SandboxLimits

Role = Literal["kernel", "canary", "fonts"]

INSIDE = Path(str(files(__package__) / "inside"))
"""The trusted programs that run first behind a wall."""

DATA = "/mnt/data"
"""Where the code finds its files."""

# 0x70000000-0x7FFFFFFE is what systemd documents as unused by anyone.
_FIRST_UID, _UIDS = 0x70000000, 0x0FFFFFFF


def uid_of(name: str) -> int | None:
    """The user that a session's processes become when the server is root; its own, by a name of hexadecimal digits.

    Where the server is not root everything stays its own user, who is somebody else inside a user namespace.
    """
    if os.geteuid() != 0:
        return None
    return _FIRST_UID + int(name[:8], 16) % _UIDS


def owner_of(data: Path) -> int | None:
    """The session's user that owns a folder of data; None where there is no folder, or it is somebody else's."""
    try:
        uid = data.stat(follow_symlinks=False).st_uid
    except FileNotFoundError:
        return None
    return uid if 0 <= uid - _FIRST_UID < _UIDS else None


@dataclass(frozen=True)
class Jail:
    """The parts of one jail; every path is the host's."""

    interpreter: Interpreter
    limits: SandboxLimits
    run: Path
    """A fresh folder of this start: `k/` for the sockets, `etc/` for what the jail sees as /etc."""
    data: Path
    uid: int | None
    role: Role = "kernel"
    fonts: Path | None = None
    arguments: tuple[str, ...] = ()
    """The kernel's own arguments."""
    group: Group | None = None
    extra: dict[str, object] = field(default_factory=dict)
    """Further settings for the boot script."""

    @cached_property
    def sockets(self) -> Path:
        """The folder that holds the kernel's connection file and sockets."""
        return self.run / "k"

    def rlimits(self) -> dict[str, int]:
        """Resource limits as the boot script sets them."""
        limits = self.limits
        return {
            "NPROC": limits.processes,
            "AS": limits.address_space,
            "FSIZE": limits.file_size,
            "CPU": limits.cpu,
            "NOFILE": limits.descriptors,
            "CORE": 0,
        }

    def environment(self) -> dict[str, str]:
        """All that the code finds in its environment, walls aside."""
        threads = str(self.limits.blas_threads)
        return {
            "PATH": f"{self.interpreter.site}:/usr/local/bin:/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "MPLBACKEND": "module://matplotlib_inline.backend_inline",
            "OMP_NUM_THREADS": threads,
            "OPENBLAS_NUM_THREADS": threads,
            "MKL_NUM_THREADS": threads,
            "NUMEXPR_NUM_THREADS": threads,
            "MALLOC_ARENA_MAX": "2",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONNOUSERSITE": "1",
        }

    def settings(self, **more: object) -> str:
        """What the boot script is told, as JSON."""
        told = {
            "uid": self.uid,
            "landlock": None,
            "limits": self.rlimits(),
            "role": self.role,
            "fonts": None,
            "arguments": list(self.arguments),
        }
        return json.dumps({**told, **self.extra, **more})
