"""Control groups (v2): where the server may make some, each jail is in one that holds it as a whole.

That is so in a systemd service with `Delegate=yes` and in a container whose group is writable. Elsewhere the watchdog,
which samples, is all there is.
"""

import errno
import logging
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from itertools import count
from pathlib import Path

from .limits import SandboxLimits

log = logging.getLogger("understudy")

_CONTROLLERS = {"memory", "pids"}
_PREFIX = "understudy-"
_OURS = 16
"""Processes of a wall itself, which are in the group but not in the number that the code may have."""
_MOMENT, _PATIENCE = 0.005, 2.0


@dataclass(frozen=True, slots=True)
class Group:
    """One jail's group."""

    path: Path

    def enter(self, argv: list[str]) -> list[str]:
        """A command that first moves itself into the group, so that nothing it starts can be outside."""
        return ["/bin/sh", "-c", 'echo 0 > "$0" && exec "$@"', str(self.path / "cgroup.procs"), *argv]

    @property
    def starved(self) -> bool:
        """Whether the system ended it because all of its memory was used."""
        with suppress(OSError):
            events = dict(line.split() for line in (self.path / "memory.events").read_text().splitlines())
            return int(events["oom_kill"]) > 0
        return False

    def end(self) -> None:
        """Kill all that is in it, without waiting; before Linux 5.14 that is left to the wall."""
        with suppress(OSError):
            (self.path / "cgroup.kill").write_text("1")

    def remove(self) -> None:
        """Delete it; its processes have ended, which the system may take a moment to see."""
        deadline = time.monotonic() + _PATIENCE
        while self.path.exists():
            try:
                self.path.rmdir()
            except OSError as error:
                if error.errno != errno.EBUSY or time.monotonic() > deadline:
                    raise
                time.sleep(_MOMENT)


class Groups:
    """Makes groups beside the one that the server itself is in."""

    def __init__(self, base: Path) -> None:
        self._base = base
        self._numbers = count()

    def make(self, limits: SandboxLimits) -> Group:
        """A fresh group with a jail's limits."""
        path = self._base / f"{_PREFIX}{os.getpid()}-{next(self._numbers)}"
        path.mkdir()
        (path / "memory.max").write_text(str(limits.memory))
        (path / "memory.oom.group").write_text("1")
        (path / "pids.max").write_text(str(limits.processes + _OURS))
        with suppress(FileNotFoundError):  # a system without swap
            (path / "memory.swap.max").write_text("0")
        return Group(path)


@cache
def enter() -> Groups | None:
    """Move this process into a group of its own, beside which others can be made; None where it may not.

    A group whose members are held to limits has either processes or groups in it.
    """
    try:
        base = _own(Path("/proc/self/cgroup").read_text(), Path("/proc/self/mountinfo").read_text())
        if base is None or not _given(base):
            return None
        _sweep(base)
        return _enter(base)
    except OSError as error:
        log.info("code interpreter: no control groups (%s)", error)
        return None


def _own(membership: str, mounts: str) -> Path | None:
    """Where the group of this process is mounted, from what /proc says."""
    paths = [line[3:] for line in membership.splitlines() if line.startswith("0::/")]
    for line in mounts.splitlines():
        fields, _, kind = line.partition(" - ")
        _, _, _, root, folder, *_ = fields.split()
        if paths and kind.startswith("cgroup2 ") and Path(paths[0]).is_relative_to(root):
            return Path(folder, Path(paths[0]).relative_to(root))
    return None


def _given(base: Path) -> bool:
    """Whether the group is ours to divide: root can write everywhere, also where systemd keeps the books."""
    if not os.access(base, os.W_OK) or not os.access(base / "cgroup.procs", os.W_OK):
        return False
    if not set((base / "cgroup.controllers").read_text().split()) >= _CONTROLLERS:
        return False
    return os.geteuid() != 0 or base.is_mount() or _delegated(base)


def _delegated(base: Path) -> bool:
    try:
        return os.getxattr(base, "trusted.delegate") == b"1"
    except OSError:
        return False


def _sweep(base: Path) -> None:
    """Delete the groups of servers that are gone."""
    for path in base.glob(f"{_PREFIX}*"):
        if not Path("/proc", path.name.split("-")[1]).exists():
            with suppress(OSError):
                path.rmdir()


def _enter(base: Path) -> Groups | None:
    leaf = base / f"{_PREFIX}{os.getpid()}"
    leaf.mkdir()
    try:
        (leaf / "cgroup.procs").write_text("0")
        (base / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in sorted(_CONTROLLERS)))
    except OSError:
        # Others are in the group too, and stay there.
        (base / "cgroup.procs").write_text("0")
        leaf.rmdir()
        raise
    return Groups(base)
