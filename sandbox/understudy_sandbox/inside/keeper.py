"""The first process of a container: with it all others end, so it ends when its standard input does.

The server holds the other side of that input: it closes it to end the container, and the system does when it dies.
"""

import ctypes
import os
import signal
from typing import Any

OUT_OF_MEMORY = 86
"""The status of a container whose program was killed for all that it holds in memory."""

_PR_SET_DUMPABLE = 4
_OOM_KILLS = ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control")


def part(role: str) -> None:
    """Go on as the child of a process that keeps it, and that it cannot reach."""
    prctl = ctypes.CDLL(None).prctl
    # Nobody but root may look into, or write to, what cannot be dumped.
    prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    child = os.fork()
    if child:
        _keep(child)
    prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)
    _go_first()
    nothing = os.open("/dev/null", os.O_RDWR)
    os.dup2(nothing, 0)
    if role == "kernel":
        os.dup2(nothing, 1)
    os.close(nothing)


def _keep(child: int) -> None:
    def reap(*_: Any) -> None:
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == child:
                os._exit(_status(os.waitstatus_to_exitcode(status)))
            if pid == 0:
                return

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, reap)
    reap()
    while os.read(0, 4096):
        continue
    os._exit(0)


def _status(code: int) -> int:
    if code == -signal.SIGKILL and _killed_for_memory():
        return OUT_OF_MEMORY
    return code if code in (0, 1) else 1


def _killed_for_memory() -> bool:
    """Whether the system killed a process of this container for its memory."""
    for path in _OOM_KILLS:
        try:
            with open(path) as lines:
                return any(line.split()[0] == "oom_kill" and int(line.split()[1]) > 0 for line in lines)
        except OSError:
            continue
    return False


def _go_first() -> None:
    """Be the one that is killed where memory runs out, and not the keeper."""
    with open("/proc/self/oom_score_adj", "w") as score:
        score.write("1000")
