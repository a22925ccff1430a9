"""Tries to get out of the jail it runs in and prints, as JSON, which walls held."""

import ctypes
import json
import os
import resource
import socket
import struct
from collections.abc import Callable
from typing import Any

_CLONE_NEWUSER = 0x10000000
_AF_VSOCK = 40
_CAPABILITY_VERSION = 0x20080522
_GET_SECCOMP, _GET_NO_NEW_PRIVS = 21, 39
_FILTERED = 2
_TELLING = ("cmdline", "environ", "maps", "status", "root/etc/passwd", "cwd/.", "fd")


def _refused(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except OSError:
        return True
    return False


def _route() -> None:
    # Connecting a datagram socket sends nothing, it only asks whether there is a way to that (reserved) address.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 53))


def _write(path: str) -> None:
    with open(path, "r+b"):
        pass


def _create(folder: str) -> None:
    path = os.path.join(folder, "canary")
    with open(path, "xb"):
        pass
    os.unlink(path)


def _unshare() -> None:
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "unshare")


def _capabilities() -> int:
    data = (ctypes.c_uint32 * 6)()
    header = struct.pack("=Ii", _CAPABILITY_VERSION, 0)
    return 0 if ctypes.CDLL(None).capget(header, data) == 0 and not (data[0] or data[3]) else 1


def _prctl(question: int) -> int:
    answer: int = ctypes.CDLL(None).prctl(question, 0, 0, 0, 0)
    return answer


def _processes() -> int:
    return sum(name.isdigit() for name in os.listdir("/proc"))


def _read(path: str) -> None:
    with open(path, "rb") as file:
        file.read(1)


def _connect() -> None:
    """Connect to a socket of its own: what refuses that refuses all."""
    path = os.path.join(os.environ["TMPDIR"], "socket")
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as client:
        listener.bind(path)
        listener.listen()
        client.connect(path)


def _send() -> None:
    for end in socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM):
        end.close()


def _change_mode(path: str) -> None:
    before = os.stat(path)
    os.chmod(path, 0o700)
    os.utime(path, (0, 0))
    after = os.stat(path)
    if (before.st_mode, before.st_mtime) == (after.st_mode, after.st_mtime):
        raise PermissionError(path)


def own(settings: dict[str, Any]) -> dict[str, bool]:
    """Walls of a jail that has namespaces and a root of its own."""
    return {
        "network": _refused(_route) and os.readlink("/proc/self/ns/net") != settings["network"],
        "host files": not os.path.exists(settings["secret"]),
        "host processes": _processes() <= 4,
        "first process": _refused(lambda: _write("/proc/1/mem")),
    }


def hosted(settings: dict[str, Any]) -> dict[str, bool]:
    """Walls of a jail among the host's files and processes."""
    secret, server = settings["secret"], settings["server"]
    others = (server, os.getppid())
    return {
        "network": _refused(_route) and _refused(_connect) and _refused(_send),
        "host files": _refused(lambda: _read(secret)) and _refused(lambda: os.listdir(os.path.dirname(secret))),
        "host files' modes": _refused(lambda: _change_mode(secret)),
        "host processes": all(_refused(lambda n=n: _read(f"/proc/{server}/{n}")) for n in _TELLING),  # type: ignore[misc]
        "signals": all(_refused(lambda p=p: os.kill(p, 0)) for p in others),  # type: ignore[misc]
        "others' limits": all(_refused(lambda p=p: _limit(p)) for p in others),  # type: ignore[misc]
        "own data": all(os.path.samefile(path, settings["data"]) for path in ("/mnt/data", os.getcwd(), ".")),
    }


def _limit(pid: int) -> None:
    resource.prlimit(pid, resource.RLIMIT_CORE, resource.prlimit(pid, resource.RLIMIT_CORE))


def findings(settings: dict[str, Any]) -> dict[str, bool]:
    """Each wall by name, and whether it held."""
    return {
        **(own if settings["rooted"] else hosted)(settings),
        "vsock": _refused(lambda: socket.socket(_AF_VSOCK, socket.SOCK_STREAM).close()),
        "environment": set(os.environ) <= set(settings["environment"]),
        "core_pattern": _refused(lambda: _write("/proc/sys/kernel/core_pattern")),
        "user": os.getuid() != 0 and os.geteuid() != 0,
        "capabilities": _capabilities() == 0,
        "new privileges": _prctl(_GET_NO_NEW_PRIVS) == 1,
        "seccomp": _prctl(_GET_SECCOMP) == _FILTERED,
        "user namespaces": _refused(_unshare),
        "read-only system": all(_refused(lambda f=f: _create(f)) for f in settings["read_only"]),  # type: ignore[misc]
        "writable data": not _refused(lambda: _create("/mnt/data")),
    }


def main(settings: dict[str, Any]) -> None:
    """Print the findings; a kernel that cannot be imported here ends the canary with its error."""
    import ipykernel  # noqa: F401
    import zmq  # noqa: F401

    print(json.dumps({"held": findings(settings)}))  # noqa: T201
