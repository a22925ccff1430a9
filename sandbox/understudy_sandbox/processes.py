"""What the processes of a jail use, read from /proc of the host.

The jail's files are never opened, only looked at. Where a process's share of memory (PSS) may not be read, all of its
memory (RSS) is taken: nothing counts as nothing because it is hidden.
"""

import math
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

_KIB = 1024
_LISTED = Path("/proc/thread-self/children").exists()


def tree(pid: int, enough: float = math.inf) -> list[int]:
    """A process and all below it; in a jail that is everybody, since orphans fall to its first process.

    It may stop at more than enough: a bomb can grow faster than it is looked through.
    """
    found, fresh = dict.fromkeys([pid]), [pid]
    parents = {} if _LISTED else _parents()
    while fresh and len(found) <= enough:
        below = _children(fresh) if _LISTED else (child for child, parent in parents.items() if parent in fresh)
        fresh = [child for child in below if child not in found]
        found.update(dict.fromkeys(fresh))
    return list(found)


def threads(pids: Iterable[int]) -> int:
    """How many threads they are."""
    return sum(_threads(pid) for pid in pids)


def resident(pids: Iterable[int]) -> int:
    """Their memory; what several share counts for each: cheap, and never too little."""
    return sum(sum(_fields(f"/proc/{pid}/status", (b"VmRSS:", b"VmSwap:"))) for pid in pids)


def proportional(pids: Iterable[int]) -> int:
    """Their memory, what is shared counted once: some milliseconds for each GiB."""
    total = 0
    for pid in pids:
        shares = _fields(f"/proc/{pid}/smaps_rollup", (b"Pss:", b"SwapPss:"))
        total += sum(shares) if shares else resident([pid])
    return total


def scratch(pid: int, folders: Iterable[str]) -> int:
    """Bytes in a jail's file systems in memory, files without a name included."""
    total = 0
    for folder in folders:
        try:
            info = os.statvfs(f"/proc/{pid}/root{folder}")
        except OSError:
            continue
        total += (info.f_blocks - info.f_bfree) * info.f_frsize
    return total


def memory_files(pids: Iterable[int], prefixes: tuple[str, ...]) -> int:
    """Bytes in files in memory that they hold open and that have no name, or one with such a beginning."""
    found: dict[tuple[int, int], int] = {}
    for pid in pids:
        for path, info in _open_files(pid):
            key = (info.st_dev, info.st_ino)
            if info.st_nlink == 0 and key not in found and _target(path).startswith(prefixes):
                found[key] = info.st_blocks * 512
    return sum(found.values())


def deleted_files(pids: Iterable[int], devices: set[int]) -> int:
    """Bytes in files on these devices that have no name any more, but are open or mapped."""
    found: dict[tuple[int, int], int] = {}
    for pid in pids:
        found |= {
            (info.st_dev, info.st_ino): info.st_blocks * 512
            for _, info in _open_files(pid)
            if info.st_nlink == 0 and info.st_dev in devices
        }
    for pid in pids:
        # Of a file that is only mapped no more is known than the mapping's length.
        for key, size in _mapped(pid):
            if key[0] in devices:
                found.setdefault(key, size)
    return sum(found.values())


def _children(pids: list[int]) -> Iterator[int]:
    for pid in pids:
        try:
            for thread in os.listdir(f"/proc/{pid}/task"):
                yield from map(int, _read(f"/proc/{pid}/task/{thread}/children").split())
        except OSError:
            continue


def _threads(pid: int) -> int:
    try:
        return len(os.listdir(f"/proc/{pid}/task"))
    except OSError:
        return 0


def _parents() -> dict[int, int]:
    """Every process and its parent, for systems that list no children."""
    found = {}
    for name in os.listdir("/proc") if os.path.isdir("/proc") else ():
        if name.isdigit():
            fields = _read(f"/proc/{name}/stat").rpartition(b")")[2].split()
            found[int(name)] = int(fields[1]) if fields else 0
    return found


def _fields(path: str, names: tuple[bytes, ...]) -> list[int]:
    return [int(line.split()[1]) * _KIB for line in _read(path).splitlines() if line.startswith(names)]


def _mapped(pid: int) -> Iterator[tuple[tuple[int, int], int]]:
    content = _read(f"/proc/{pid}/maps")
    if b"(deleted)" not in content:
        return
    for line in content.splitlines():
        if line.endswith(b"(deleted)"):
            span, _, _, device, inode = line.split()[:5]
            start, end = (int(number, 16) for number in span.split(b"-"))
            major, minor = (int(number, 16) for number in device.split(b":"))
            yield (os.makedev(major, minor), int(inode)), end - start


def _open_files(pid: int) -> Iterator[tuple[str, os.stat_result]]:
    try:
        names = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return
    for name in names:
        path = f"/proc/{pid}/fd/{name}"
        try:
            info = os.stat(path)
        except OSError:
            continue
        if stat.S_ISREG(info.st_mode):
            yield path, info


def _target(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""
