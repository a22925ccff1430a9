"""Tries to get out of the jail it runs in and prints, as JSON, which walls held."""

import ctypes
import json
import os
import socket
from collections.abc import Callable
from typing import Any

_CLONE_NEWUSER = 0x10000000
_AF_VSOCK = 40


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


def _status(field: str) -> str:
    with open("/proc/self/status") as lines:
        return next((line.split()[1] for line in lines if line.startswith(field + ":")), "")


def _processes() -> int:
    return sum(name.isdigit() for name in os.listdir("/proc"))


def findings(settings: dict[str, Any]) -> dict[str, bool]:
    """Each wall by name, and whether it held."""
    return {
        "network": _refused(_route) and os.readlink("/proc/self/ns/net") != settings["network"],
        "vsock": _refused(lambda: socket.socket(_AF_VSOCK, socket.SOCK_STREAM).close()),
        "environment": set(os.environ) <= set(settings["environment"]),
        "host files": not os.path.exists(settings["secret"]),
        "host processes": _processes() <= 4,
        "first process": _refused(lambda: _write("/proc/1/mem")),
        "core_pattern": _refused(lambda: _write("/proc/sys/kernel/core_pattern")),
        "user": os.getuid() != 0 and os.geteuid() != 0,
        "capabilities": int(_status("CapEff") or "1", 16) == 0,
        "new privileges": _status("NoNewPrivs") == "1",
        "seccomp": _status("Seccomp") == "2",
        "user namespaces": _refused(_unshare),
        "read-only system": all(_refused(lambda f=f: _create(f)) for f in settings["read_only"]),  # type: ignore[misc]
        "writable data": not _refused(lambda: _create("/mnt/data")),
    }


def main(settings: dict[str, Any]) -> None:
    """Print the findings; a kernel that cannot be imported here ends the canary with its error."""
    import ipykernel  # noqa: F401
    import zmq  # noqa: F401

    print(json.dumps({"held": findings(settings)}))  # noqa: T201
