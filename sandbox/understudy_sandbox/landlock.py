"""The landlock wall: no root of its own, but rules on the host's files, and a stricter system call filter.

For where user namespaces are refused, as in plain containers. It needs a system that keeps the code's signals in
the jail, or a user for each session, whom only a server that is root can make.
"""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import SandboxUnavailable
from .inside import landlock, seccomp
from .jail import DATA, INSIDE, Jail
from .wall import ETC, LINKS, Command, Wall, need_filter

LINK = Path(DATA)
TARGET = "/proc/self/cwd"
"""Where DATA leads: to the folder that a process is in."""
_OLDEST = 2
_MAKE_LINK = f"ln -s {TARGET} {DATA}"

# CHOWN, DAC_OVERRIDE, FOWNER, KILL, SETGID, SETUID
_CAPABILITIES = 1 << 0 | 1 << 1 | 1 << 3 | 1 << 5 | 1 << 6 | 1 << 7

_ETC = ("debian_version", "lsb-release", "redhat-release", "system-release")
"""What would be missing elsewhere, and is an error when it is there and may not be read."""
_DEVICES = ("null", "zero", "full", "random", "urandom")
_PROC = ("cpuinfo", "filesystems", "loadavg", "meminfo", "stat", "uptime", "version")
"""What of /proc is about the machine, and not about anybody's processes."""
_HOME, _TMP = "home", "tmp"

READ_ONLY = ("/", "/usr", "/etc", "/dev", "/dev/shm", "/run", "/mnt", "/tmp", "/var/tmp", str(INSIDE))  # noqa: S108
"""Where the canary must not be able to create a file."""


def environment(jail: Jail) -> dict[str, str]:
    """The environment inside."""
    return {**jail.environment(), "HOME": str(jail.run / _HOME), "USER": "sandbox", "TMPDIR": str(jail.run / _TMP)}


def rules(jail: Jail) -> list[tuple[str, int]]:
    """What may be done with which of the host's files."""
    readable = [Path("/usr"), *(Path("/", name) for name in LINKS), *(Path("/etc", name) for name in (*ETC, *_ETC))]
    readable += [*jail.interpreter.roots, INSIDE, *(Path("/proc", name) for name in _PROC)]
    if jail.fonts is not None:
        readable.append(jail.fonts)
    writable = [jail.data, jail.sockets, *(jail.run / name for name in Landlock.folders)]
    allowed = {landlock.READ: readable, landlock.WRITE: writable}
    allowed[landlock.DEVICE] = [Path("/dev", name) for name in _DEVICES]
    return [(str(path), access) for access, paths in allowed.items() for path in paths]


class Landlock(Wall):
    """Jails in the host's root, held by rules on files and system calls."""

    name = "landlock"
    rooted = False
    follows = False
    folders = {_HOME: "/home/sandbox", _TMP: "/tmp"}  # noqa: RUF012, S108

    def __init__(self) -> None:
        need_filter()
        self._abi = landlock.abi()
        if self._abi < _OLDEST:
            raise SandboxUnavailable(
                "The code interpreter's landlock wall needs Linux 5.19 or newer, with Landlock switched on "
                "(lsm=...,landlock on the kernel's command line)."
            )
        self._own_users = os.geteuid() == 0
        self.counted = self._own_users
        if self._own_users:
            _need_capabilities()
        elif self._abi < landlock.SCOPED_SINCE:
            raise SandboxUnavailable(
                "The code interpreter's landlock wall needs Linux 6.12 or newer, or a server that is root and so can "
                "give each session a user of its own (docker run --user root)."
            )
        _need_link()

    @contextmanager
    def command(self, jail: Jail) -> Iterator[Command]:
        """A process that splits in two: the jail's first, and one that stands above it."""
        for name in self.folders:
            (jail.run / name).mkdir(0o700)
        if jail.uid is not None:
            _let_in(jail, jail.uid)
        told = {"UNDERSTUDY_BOOT": self._settings(jail)}
        argv = [str(jail.interpreter.executable), "-s", "-P", str(INSIDE / "boot.py")]
        yield Command(argv, {**environment(jail), **told}, folder=jail.data)

    def _settings(self, jail: Jail) -> str:
        limits = jail.rlimits()
        if not self._own_users:
            # It would count every process of the server's user; the watchdog counts these.
            del limits["NPROC"]
        wall = {
            "abi": self._abi,
            "server": os.getpid(),
            "uid": jail.uid,
            "rules": rules(jail),
            "scopes": landlock.SCOPES,
            "filter": seccomp.assemble(hosted=True, shared=jail.uid is None).hex(),
        }
        fonts = None if jail.fonts is None else str(jail.fonts)
        known = [*environment(jail), "PWD", "LC_CTYPE"]
        return jail.settings(
            uid=None, landlock=wall, limits=limits, fonts=fonts, environment=known, read_only=READ_ONLY
        )

    def end(self, process: subprocess.Popen[bytes]) -> None:
        """Tell the process that stands above the jail, which ends when nobody is left."""
        process.send_signal(signal.SIGTERM)


def _need_capabilities() -> None:
    status = Path("/proc/self/status").read_text()
    held = next(int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapEff:"))
    if held & _CAPABILITIES != _CAPABILITIES:
        raise SandboxUnavailable(
            "The code interpreter's landlock wall needs a server that is root with the capabilities CHOWN, "
            "DAC_OVERRIDE, FOWNER, KILL, SETGID and SETUID (docker run has them by default; else --cap-add)."
        )


def _need_link() -> None:
    """The code finds its files by a link, which only root can make; it may stay, it leads nowhere for others."""
    if not os.path.lexists(LINK) and os.geteuid() == 0:
        LINK.parent.mkdir(exist_ok=True)
        with suppress(FileExistsError):
            LINK.symlink_to(TARGET)
    if not os.path.lexists(LINK):
        raise SandboxUnavailable(f"The code interpreter's landlock wall needs a link, made once as root: {_MAKE_LINK}.")
    if not LINK.is_symlink() or os.readlink(LINK) != TARGET:
        raise SandboxUnavailable(
            f"The code interpreter's landlock wall needs the name {DATA}, where there is something else: move that "
            f"away, and as root {_MAKE_LINK}."
        )


def _let_in(jail: Jail, uid: int) -> None:
    """Let a session's own user pass through the folders above its own, which stay unreadable to it."""
    os.chown(jail.run, -1, uid)
    jail.run.chmod(0o710)
    for name in Landlock.folders:
        os.chown(jail.run / name, uid, uid)
    for folder in (jail.run.parent, jail.data.parent.parent):
        folder.chmod(folder.stat().st_mode | 0o001)
    _need_way(jail.run.parent, "set TMPDIR to a folder elsewhere")
    _need_way(jail.data.parent.parent, "choose another --data-dir")
    for path in (*jail.interpreter.roots, jail.interpreter.executable.resolve()):
        _need_way(path, "name a Python elsewhere with --sandbox-python")
    _need_way(INSIDE, "install Understudy elsewhere")


def _need_way(path: Path, otherwise: str) -> None:
    for folder in path.parents:
        if not folder.stat().st_mode & 0o001:
            raise SandboxUnavailable(
                "The code interpreter's landlock wall gives each session a user of its own, but they cannot pass "
                f"{folder}: chmod o+x {folder}, or {otherwise}."
            )
