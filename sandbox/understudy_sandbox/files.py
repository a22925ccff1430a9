"""A session's files: copied in, looked at and opened without ever following what the jail planted."""

import json
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from .folders import delete_tree
from .limits import SandboxLimits

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# A FIFO would block, a device act: neither does when opened without waiting, and fstat then tells.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | getattr(os, "O_NOCTTY", 0)
_LONGEST = 255

Mark = tuple[int, int, int]
"""Inode, size and time of change of a regular file."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The regular files of a moment."""

    marks: dict[str, Mark]
    size: int
    complete: bool
    """False where there was more than is looked at."""

    def changed_since(self, before: "Snapshot") -> tuple[str, ...]:
        """Names of the files that are new or not what they were."""
        return tuple(sorted(name for name, mark in self.marks.items() if before.marks.get(name) != mark))


class SessionFiles:
    """A session's folder on disk: `data`, which is /mnt/data, beside a ledger that the code does not see."""

    def __init__(self, path: Path, uid: int | None, limits: SandboxLimits) -> None:
        self.path = path
        self.data = path / "data"
        self.uid = uid
        self._limits = limits
        self._ledger = path / "added.json"
        self._ran = path / "ran"

    def make(self) -> None:
        """Make the folder where there is none yet."""
        self.data.mkdir(parents=True, exist_ok=True)
        self.path.chmod(0o700)
        if self.uid is not None:
            os.chown(self.data, self.uid, self.uid)

    def delete(self) -> None:
        """Delete all of it."""
        delete_tree(self.path)

    @property
    def had_kernel(self) -> bool:
        """Whether a kernel of this session ever ran code, perhaps under another server."""
        return self._ran.exists()

    def remember_kernel(self) -> None:
        """Note that a kernel ran code."""
        self._ran.touch()

    def add(self, name: str, source: Path) -> None:
        """Copy a file in, unless this very file was copied before and something of its name is still there.

        A copy that the code changed is its own work and is kept.
        """
        name = plain_name(name)
        info = source.stat()
        mark = [str(source), info.st_size, info.st_mtime_ns]
        ledger = self._read_ledger()
        self.make()
        with self._open_data() as folder:
            if ledger.get(name) == mark and _is_regular(name, folder):
                return
            self._copy(source, name, folder)
        self._write_ledger({**ledger, name: mark})

    def _copy(self, source: Path, name: str, folder: int) -> None:
        temporary = f".{secrets.token_hex(16)}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(temporary, flags, 0o644, dir_fd=folder)
        try:
            with os.fdopen(fd, "wb") as copy, source.open("rb") as original:
                if self.uid is not None:
                    os.fchown(copy.fileno(), self.uid, self.uid)
                shutil.copyfileobj(original, copy, 1 << 20)
            # Replaces a link or a FIFO itself; a folder refuses.
            os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary, dir_fd=folder)
            raise

    def open(self, name: str) -> BinaryIO:
        """Open a regular file; FileNotFoundError for whatever else the name leads to."""
        *parents, last = name.split("/")
        if any(part in ("", ".", "..") or "\x00" in part for part in (*parents, last)):
            raise FileNotFoundError(name)
        try:
            with self._open_data() as folder:
                return _open_below(folder, parents, last)
        except (OSError, ValueError) as error:
            raise FileNotFoundError(name) from error

    def snapshot(self) -> Snapshot:
        """Look at all regular files, within the limits."""
        marks: dict[str, Mark] = {}
        size = seen = 0
        with self._open_data() as folder:
            for path, info in _walk(folder, self._limits.depth):
                seen += 1
                if path is None or seen > self._limits.files:
                    return Snapshot(marks, size, complete=False)
                if info is not None:
                    marks[path] = (info.st_ino, info.st_size, info.st_mtime_ns)
                    size += info.st_blocks * 512
        return Snapshot(marks, size, complete=True)

    @contextmanager
    def _open_data(self) -> Iterator[int]:
        try:
            fd = os.open(self.data, _FOLDER)
        except PermissionError:
            # The code may shut its own folder. Its name cannot be a link: the jail does not see the parent.
            self.data.chmod(0o700)
            fd = os.open(self.data, _FOLDER)
        try:
            yield fd
        finally:
            os.close(fd)

    def _read_ledger(self) -> dict[str, object]:
        try:
            return dict(json.loads(self._ledger.read_text()))
        except (FileNotFoundError, ValueError):
            return {}

    def _write_ledger(self, ledger: dict[str, object]) -> None:
        fresh = self._ledger.with_suffix(".new")
        fresh.write_text(json.dumps(ledger))
        fresh.replace(self._ledger)


def plain_name(name: str) -> str:
    """A name for a file in /mnt/data: no folders, no control characters, no more than a name may hold."""
    base = re.split(r"[/\\]", name)[-1]
    base = "".join(c for c in base if c.isprintable()).encode("utf-8", "ignore").decode().strip()
    if base.strip(".") == "":
        return "file"
    stem, dot, suffix = base.rpartition(".")
    if len(base.encode()) > _LONGEST:
        ending = (dot + suffix) if stem and len(suffix) <= 16 else ""
        base = base.encode()[: _LONGEST - len(ending.encode())].decode(errors="ignore") + ending
    return base


def _is_regular(name: str, folder: int) -> bool:
    try:
        return stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
    except OSError:
        return False


def _open_below(folder: int, parents: list[str], name: str) -> BinaryIO:
    current = os.dup(folder)
    try:
        for part in parents:
            below = os.open(part, _FOLDER, dir_fd=current)
            os.close(current)
            current = below
        fd = os.open(name, _FILE, dir_fd=current)
    finally:
        os.close(current)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise FileNotFoundError(name)
    os.set_blocking(fd, True)
    return os.fdopen(fd, "rb")


def _walk(folder: int, depth: int, prefix: str = "") -> Iterator[tuple[str | None, os.stat_result | None]]:
    """Every entry below an open folder with its state if it is a regular file; no path where it is too deep."""
    with os.scandir(folder) as entries:
        for entry in entries:
            path = prefix + entry.name
            try:
                info = entry.stat(follow_symlinks=False)
            except OSError:
                continue
            if stat.S_ISDIR(info.st_mode):
                yield (path if depth > 0 else None), None
                yield from _walk_into(folder, entry.name, depth - 1, path + "/")
            elif stat.S_ISREG(info.st_mode) and _is_text(path):
                yield path, info
            else:
                yield path, None


def _walk_into(folder: int, name: str, depth: int, prefix: str) -> Iterator[tuple[str | None, os.stat_result | None]]:
    try:
        below = os.open(name, _FOLDER, dir_fd=folder)
    except OSError:
        return
    try:
        yield from _walk(below, depth, prefix)
    finally:
        os.close(below)


def _is_text(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True
