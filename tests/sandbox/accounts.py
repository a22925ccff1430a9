"""What a server holds at a moment: processes, descriptors, sockets, mounts, folders. Two accounts tell what is left."""

import hashlib
import os
import signal
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_MIB = 1024 * 1024
_BOUND = {"threads": 48, "tcp": 32, "files": 16}
"""Pools that grow with the load and stay: so many more than at the beginning are no leak."""


@dataclass(frozen=True, slots=True)
class Account:
    """What is held by a server and below it."""

    held: Counter[str]
    """Numbers of things, by what they are."""
    resident: int
    """Bytes of memory of the server itself."""

    def left_since(self, before: "Account") -> list[str]:
        """What is there now and was not before, one sentence each."""
        return [
            f"{count} {name} where there were {before.held[name]}"
            for name, count in sorted(self.held.items())
            if count > before.held[name] + _BOUND.get(name, 0)
        ]


def take(server: int, folder: Path, data: Path, sessions: Iterable[str]) -> Account:
    """An account of a server process, its temporary folder and its data folder, where these threads have sessions."""
    held = Counter(f"processes {state}" for state in _below(server).values())
    held += descriptors(server)
    held["threads"] = len(os.listdir(f"/proc/{server}/task"))
    mounts = Path(f"/proc/{server}/mountinfo").read_text()
    held["mounts"] = mounts.count(str(folder)) + mounts.count(str(data))
    held["sockets in run folders"] = Path("/proc/net/unix").read_text().count(str(folder))
    held["run folders"] = sum(path.is_dir() for path in folder.glob("*/*"))
    held["foreign entries in the temporary folder"] = len(list(folder.iterdir())) - 1
    known = {hashlib.sha256(thread.encode()).hexdigest()[:24] for thread in sessions} | {"fonts"}
    held["session folders of nobody"] = sum(path.name not in known for path in (data / "sandbox").iterdir())
    held["incoming files"] = len(list((data / "incoming").iterdir()))
    return Account(held, _resident(server))


def descriptors(pid: int) -> Counter[str]:
    """A process's open descriptors by kind."""
    found: Counter[str] = Counter()
    families = {inode: "tcp" for name in ("tcp", "tcp6") for inode in _inodes(name, 9)}
    families |= dict.fromkeys(_inodes("unix", 6), "unix sockets")
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = os.readlink(link)
        except FileNotFoundError:
            continue
        if target.startswith("/"):
            found["deleted files" if target.endswith("(deleted)") else "files"] += 1
        elif target.startswith("socket:"):
            found[families.get(target[8:-1], "other sockets")] += 1
        else:
            found[target.partition(":")[2] if target.startswith("anon_inode") else "pipes"] += 1
    return found


def orphans(keep: Iterable[int]) -> list[int]:
    """Processes below this one, which has made itself the parent of all orphans; the dead are buried."""
    keep = set(keep)
    alive = []
    for pid, state in _below(os.getpid(), keep).items():
        if state == "Z" and _parent(pid) == os.getpid():
            os.waitpid(pid, 0)
        else:
            alive.append(pid)
    return alive


def jailed(server: int) -> list[int]:
    """The live processes below a server."""
    return [pid for pid, state in _below(server).items() if state != "Z"]


def kill_one(server: int, pid: int) -> bool:
    """Kill a process, if it still is below the server."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    try:
        if pid not in jailed(server):
            return False
        signal.pidfd_send_signal(fd, signal.SIGKILL)
    except ProcessLookupError:
        return False
    finally:
        os.close(fd)
    return True


def _below(pid: int, without: Iterable[int] = ()) -> dict[int, str]:
    """Processes below a process and their states, but for some and what is below those."""
    parents: dict[int, tuple[int, str]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and (fields := _stat(int(folder.name))):
            parents[int(folder.name)] = (int(fields[1]), fields[0])
    found: dict[int, str] = {}
    fresh = {pid}
    while fresh:
        fresh = {child for child, (parent, _) in parents.items() if parent in fresh} - set(without) - set(found)
        found |= {child: parents[child][1] for child in fresh}
    return found


def _parent(pid: int) -> int:
    fields = _stat(pid)
    return int(fields[1]) if fields else 0


def _stat(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def _inodes(table: str, column: int) -> list[str]:
    lines = Path(f"/proc/net/{table}").read_text().splitlines()[1:]
    return [fields[column] for line in lines if len(fields := line.split()) > column]


def _resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
