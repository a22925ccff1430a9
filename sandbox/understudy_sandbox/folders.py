"""The folders of live kernels and of jails that wait, swept after servers that died."""

import fcntl
import os
import secrets
import shutil
import stat
import tempfile
import time
from itertools import count
from pathlib import Path

PREFIX = "understudy-run-"
LOCK = "run.lock"
"""Names that nothing else has: what is swept away must be a folder of ours and not, say, somebody's data folder."""
_LONGEST = 50  # a socket's whole path may take 107 bytes, 103 on macOS
_YOUNG = 60.0


class RunFolders:
    """A folder in `base`, locked while it lives, that holds numbered folders."""

    def __init__(self, base: Path) -> None:
        sweep(base)
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=base))
        self._lock = os.open(self.path / LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self._numbers = count()

    def make(self) -> Path:
        """A fresh, empty folder."""
        path = self.path / str(next(self._numbers))
        path.mkdir(mode=0o700)
        return path

    def remove(self) -> None:
        """Delete all of them."""
        delete_tree(self.path)
        os.close(self._lock)


def short_base() -> Path:
    """Where folders can be made whose names are short enough for sockets."""
    base = tempfile.gettempdir()
    return Path("/tmp" if len(base) > _LONGEST else base)  # noqa: S108 - folders are made there by mkdtemp


def sweep(base: Path) -> None:
    """Delete what servers that were killed left behind."""
    for path in base.glob(f"{PREFIX}*"):
        try:
            if abandoned(path):
                delete_tree(path)
        except OSError:
            continue


def abandoned(path: Path) -> bool:
    """Whether this is a folder of a sandbox that lives no more."""
    info = path.lstat()
    if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.geteuid():
        return False
    try:
        fd = os.open(path / LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        # Its server may be between making the folder and locking it.
        return time.time() - info.st_mtime > _YOUNG and _ours(path)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(fd)
    return True


def _ours(path: Path) -> bool:
    return not any(path.iterdir())


def delete_tree(path: Path) -> None:
    """Delete a folder that hostile code may have filled: any depth, any modes, links never followed.

    Each nested folder is lifted to the top and emptied there, so neither the stack nor the length of a path
    grows with the depth.
    """
    if not path.is_dir() or path.is_symlink():
        return
    while folders := [entry.path for entry in _entries(path) if entry.is_dir(follow_symlinks=False)]:
        for folder in folders:
            _empty(folder, path)
    shutil.rmtree(path)


def _empty(folder: str, top: Path) -> None:
    os.chmod(folder, 0o700)
    for entry in _entries(folder):
        if entry.is_dir(follow_symlinks=False):
            os.chmod(entry.path, 0o700)  # moving a folder changes its `..`, which needs write permission
            os.rename(entry.path, top / secrets.token_hex(16))
        else:
            os.unlink(entry.path)
    os.rmdir(folder)


def _entries(folder: "str | Path") -> "list[os.DirEntry[str]]":
    with os.scandir(folder) as entries:
        return list(entries)
