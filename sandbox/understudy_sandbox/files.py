"""A session's files: copied in, looked at and opened without ever following what the jail planted."""

import json
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from .excess import Excess
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
    """Bytes that everything takes on the disk: a sparse file little, a file of two names once."""
    complete: bool
    """False where there are more entries, or deeper ones, than the limits allow."""

    def changed_since(self, before: "Snapshot") -> tuple[str, ...]:
        """Names of the files that are new or not what they were."""
        return tuple(sorted(name for name, mark in self.marks.items() if before.marks.get(name) != mark))


@dataclass(slots=True)
class _Weight:
    """What entries come to, up to the limits."""

    limits: SandboxLimits
    size: int = 0
    count: int = 0
    fits: bool = True
    """Whether they are neither too many nor too deep."""
    linked: set[tuple[int, int]] = field(default_factory=set)

    def add(self, path: str, info: os.stat_result) -> bool:
        """Take in one entry; whether there may be more."""
        self.count += 1
        too_deep = stat.S_ISDIR(info.st_mode) and path.count("/") >= self.limits.depth
        self.fits = self.count <= self.limits.files and not too_deep
        key = (info.st_dev, info.st_ino)
        if key not in self.linked:
            self.size += info.st_blocks * 512
        if info.st_nlink > 1:
            self.linked.add(key)
        return self.fits


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
        if self.uid is None:
            self.path.chmod(0o700)
        else:
            # Where a jail has no root of its own, its user must be able to pass.
            os.chown(self.path, -1, self.uid)
            self.path.chmod(0o710)
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
        mark = [source.name, info.st_size, info.st_mtime_ns]
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

    def copy_from(self, other: "SessionFiles") -> None:
        """Copy another session's folders and regular files. To be used only before this session has a kernel."""
        if not other.data.exists():
            return
        self.make()
        for path in other.snapshot().marks:
            target = self.data / path
            target.parent.mkdir(parents=True, exist_ok=True)
            with other.open(path) as original, target.open("wb") as copy:
                shutil.copyfileobj(original, copy, 1 << 20)
            self._give(target)
        self._write_ledger(other._read_ledger())
        if other.had_kernel:
            self.remember_kernel()

    def _give(self, path: Path) -> None:
        if self.uid is not None:
            for one in (path, *path.relative_to(self.data).parents):
                os.chown(self.data / one, self.uid, self.uid)

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

    def snapshot(self, also: Iterable[Path] = ()) -> Snapshot:
        """Look at all entries, within the limits; `also` are folders that count, but hold no files of the session."""
        marks: dict[str, Mark] = {}
        weight = _Weight(self._limits)
        # Apart, since what the kernel itself puts there must not count against the number of the session's files.
        rest = _Weight(self._limits, linked=weight.linked)
        with self._open_data() as folder:
            for path, info in _walk(folder):
                if not weight.add(path, info):
                    break
                if stat.S_ISREG(info.st_mode) and _is_text(path):
                    marks[path] = (info.st_ino, info.st_size, info.st_mtime_ns)
        for more in also:
            with _open_folder(more) as folder:
                for path, info in _walk(folder):
                    if not rest.fits or not rest.add(path, info):
                        break
        return Snapshot(marks, weight.size + rest.size, weight.fits and rest.fits)

    def excess(self, snapshot: Snapshot, hidden: int = 0) -> Excess | None:
        """The limit that a snapshot, and further bytes that it does not show, go beyond."""
        if not snapshot.complete:
            return "files"
        return "disk" if snapshot.size + hidden > self._limits.disk + self.given else None

    @property
    def given(self) -> int:
        """Bytes of the files that were copied in; they do not count as the code's."""
        return sum(mark[1] for mark in self._read_ledger().values())

    def devices(self, also: Iterable[Path]) -> set[int]:
        """The file systems that the code can fill."""
        return {folder.stat().st_dev for folder in (self.data, *also)}

    def shrink(self, before: Snapshot | None) -> tuple[str, ...]:
        """Delete entries until the rest is well within the limits; their names.

        First what is nested too deeply, then what was not there `before`, the largest first. To be used only
        while no kernel runs: names are followed here.
        """
        old = {path.partition("/")[0] for path in before.marks} if before else set()
        self.data.chmod(0o755)
        entries = {entry.name: self._weigh(entry) for entry in self._own_entries()}
        size, count = (sum(getattr(weight, part) for weight in entries.values()) for part in ("size", "count"))
        by = "size" if count <= self._limits.files else "count"
        deleted = []
        for name in sorted(entries, key=lambda n: (entries[n].fits, n in old, -getattr(entries[n], by))):
            weight = entries[name]
            if weight.fits and size <= self._limits.disk * 3 // 4 and count <= self._limits.files * 3 // 4:
                break
            _delete(self.data / name)
            deleted.append(name)
            size, count = size - weight.size, count - weight.count
        return tuple(deleted)

    def _own_entries(self) -> "list[os.DirEntry[str]]":
        """Entries of the folder that are not the files that were given, as they were given."""
        ledger = self._read_ledger()
        with os.scandir(self.data) as entries:
            return [
                entry
                for entry in entries
                if entry.name not in ledger or entry.stat(follow_symlinks=False).st_size != ledger[entry.name][1]
            ]

    def _weigh(self, entry: "os.DirEntry[str]") -> "_Weight":
        weight = _Weight(self._limits)
        if weight.add(entry.name, entry.stat(follow_symlinks=False)) and entry.is_dir(follow_symlinks=False):
            with _open_folder(Path(entry.path)) as folder:
                for path, info in _walk(folder, f"{entry.name}/"):
                    if not weight.add(path, info):
                        break
        return weight

    def _open_data(self) -> AbstractContextManager[int]:
        return _open_folder(self.data)

    def _read_ledger(self) -> dict[str, Any]:
        try:
            return dict(json.loads(self._ledger.read_text()))
        except (FileNotFoundError, ValueError):
            return {}

    def _write_ledger(self, ledger: dict[str, Any]) -> None:
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


def _walk(folder: int, prefix: str = "") -> Iterator[tuple[str, os.stat_result]]:
    """Every entry below an open folder with its state; a folder comes before what is in it."""
    with os.scandir(folder) as entries:
        for entry in entries:
            path = prefix + entry.name
            try:
                info = entry.stat(follow_symlinks=False)
            except OSError:
                continue
            yield path, info
            if stat.S_ISDIR(info.st_mode):
                yield from _walk_into(folder, entry.name, path + "/")


def _walk_into(folder: int, name: str, prefix: str) -> Iterator[tuple[str, os.stat_result]]:
    try:
        below = _open_below_shut(folder, name)
    except OSError:
        return
    try:
        yield from _walk(below, prefix)
    finally:
        os.close(below)


def _open_below_shut(folder: int, name: str) -> int:
    try:
        return os.open(name, _FOLDER, dir_fd=folder)
    except PermissionError:
        # The code shut it, perhaps to hide what is in it. The name may be another folder's by now, the descriptor not.
        itself = os.open(name, os.O_PATH | _FOLDER, dir_fd=folder)
        try:
            os.chmod(f"/proc/self/fd/{itself}", 0o700)
        finally:
            os.close(itself)
        return os.open(name, _FOLDER, dir_fd=folder)


@contextmanager
def _open_folder(path: Path) -> Iterator[int]:
    try:
        fd = os.open(path, _FOLDER)
    except PermissionError:
        # The code may shut its own folder. Its name cannot be a link: the jail does not see the parent.
        path.chmod(0o700)
        fd = os.open(path, _FOLDER)
    try:
        yield fd
    finally:
        os.close(fd)


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        path.chmod(0o700)
        delete_tree(path)
    else:
        path.unlink()


def _is_text(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True
