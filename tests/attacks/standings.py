"""Where an attack may come from: a wall, and the user that the server behind it is.

Tests that run as root start the server as an ordinary user too. What other users need may lie in a private home (a
Python of pyenv's under /root): then they see those folders, and nothing else there, in a mount namespace of their own.
"""

import os
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from understudy_sandbox.inside import landlock
from understudy_sandbox.jail import INSIDE

ROOT = Path(__file__).parents[2]
_USER = 61_234
"""Nobody's number, on a usual machine."""


@dataclass(frozen=True)
class Standing:
    """One wall and one user."""

    wall: str
    as_root: bool

    def __str__(self) -> str:
        return f"{self.wall} as {'root' if self.as_root else 'a user'}"

    @property
    def obstacle(self) -> str | None:
        """Why these tests cannot start such a server, if so."""
        if self.as_root and os.geteuid() != 0:
            return "only root can start a server as root"
        if self.wall == "landlock" and not self.as_root and landlock.abi() < landlock.SCOPED_SINCE:
            return "here landlock needs a server that is root"
        return None

    @property
    def inside(self) -> str:
        """Where the code would find the programs that start it."""
        return "/run/boot" if self.wall == "bubblewrap" else str(INSIDE)

    @property
    def counted(self) -> bool:
        """Whether the system refuses the code more processes, so that nobody has to end it."""
        return self.wall == "bubblewrap" or self.as_root

    @property
    def steps_down(self) -> bool:
        """Whether the server is another user than these tests."""
        return os.geteuid() == 0 and not self.as_root

    def launcher(self) -> tuple[str, ...]:
        """What starts a command as the server's user."""
        if os.geteuid() != 0 or (self.as_root and self.wall == "bubblewrap"):
            return ()
        become = ("setpriv", "--reuid", str(_USER), "--regid", str(_USER), "--clear-groups") if self.steps_down else ()
        shown = _show(_needed())
        if not shown:
            return become
        return ("unshare", "--mount", "sh", "-ec", f'{shown}\ncd {shlex.quote(str(ROOT))}\nexec "$@"', "sh", *become)

    def give(self, path: Path) -> None:
        """Let the server's user own a folder, and a session's pass it."""
        path.chmod(0o711)
        if self.steps_down:
            os.chown(path, _USER, _USER)


STANDINGS = [Standing(wall, as_root) for wall in ("bubblewrap", "landlock") for as_root in (True, False)]
FIRST, SECOND = (standing for standing in STANDINGS if not standing.as_root)
"""The usual run tries all attacks on one, on the other those that end by its doing; the rest is in long_forms."""
REST = [standing for standing in STANDINGS if standing != FIRST]


def _needed() -> list[Path]:
    """The folders of these tests, of the Python that runs them and of the packages it imports, none inside another."""
    named = [sys.prefix, sys.base_prefix, *filter(os.path.isdir, sys.path)]
    folders = {ROOT, *(Path(folder).absolute() for folder in named)}
    folders |= {folder.resolve() for folder in folders}
    return sorted(f for f in folders if not any(other in f.parents for other in folders))


def _show(folders: list[Path]) -> str:
    """Shell commands that cover private folders and show what is needed of them."""
    private: dict[Path, list[Path]] = {}
    for folder in folders:
        for parent in reversed(folder.parents):
            if not parent.stat().st_mode & 0o001:
                private.setdefault(parent, []).append(folder)
                break
    lines = []
    for cover, shown in private.items():
        # A descriptor leads to what a mount has covered.
        lines += [f"exec {number}< {shlex.quote(str(path))}" for number, path in enumerate(shown, 3)]
        lines.append(f"mount -t tmpfs -o mode=755 none {shlex.quote(str(cover))}")
        for number, path in enumerate(shown, 3):
            quoted = shlex.quote(str(path))
            lines += [
                f"mkdir -p {quoted}",
                f"mount --no-canonicalize --bind /proc/self/fd/{number} {quoted}",
                f"exec {number}<&-",
            ]
    return "\n".join(lines)
