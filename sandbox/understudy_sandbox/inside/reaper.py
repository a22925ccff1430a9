"""Stands above a jail that has no process namespace, and ends all of it, whatever became whose child.

The code in the jail can neither signal nor slow nor outlive it: as root it is somebody else, otherwise it is outside
the jail's Landlock domain.
"""

import ctypes
import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

_SET_PDEATHSIG, _SET_DUMPABLE, _SET_CHILD_SUBREAPER = 1, 4, 36
_GUARD = 0x80000000
"""Added to a session's uid it gives one that nobody has, whom the session's processes can do nothing to."""
_MOMENT = 0.002

_libc = ctypes.CDLL(None, use_errno=True)


def divide(wall: dict[str, Any], landlock: Any, seccomp: Any) -> None:
    """Return in a process of the jail, as its user and held by its rules; this one stays above it and never returns."""
    ruleset = landlock.ruleset(wall["abi"], wall["rules"], wall["scopes"])
    _libc.prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    if wall["uid"] is None:
        landlock.enter(wall["abi"], landlock.scope(wall["abi"]))
    else:
        step_aside(wall["uid"])
    prove_harmless(wall["server"])
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGCHLD})
    follow(wall["server"], signal.SIGTERM)
    above = os.getpid()
    first = os.fork()
    if first:
        os.close(ruleset)
        status = watch(first)
        end()
        os._exit(status)
    settle(wall["uid"], above)
    landlock.enter(wall["abi"], ruleset)
    os.closerange(3, 256)
    seccomp.load(bytes.fromhex(wall["filter"]))


def step_aside(uid: int) -> None:
    """Turn from root, for good, into somebody who may signal the processes of this user and of nobody else."""
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid + _GUARD, uid, uid + _GUARD)


def prove_harmless(server: int) -> None:
    """Raise unless the server is beyond this process's signals: those of `end` go to everybody within reach."""
    try:
        os.kill(server, 0)
    except PermissionError:
        return
    raise PermissionError("signals could leave the jail")


def follow(parent: int, number: int) -> None:
    """Get this signal when the parent dies, or has died."""
    _libc.prctl(_SET_PDEATHSIG, number, 0, 0, 0)
    if os.getppid() != parent:
        os.kill(os.getpid(), number)


def settle(uid: int | None, above: int) -> None:
    """Become the jail's user alone, and an ordinary process."""
    if uid is not None:
        os.setresuid(uid, uid, uid)
        # The change of user hid /proc/self from its own process.
        _libc.prctl(_SET_DUMPABLE, 1, 0, 0, 0)
    follow(above, signal.SIGKILL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGCHLD})


def watch(first: int) -> int:
    """Bury orphans until the jail's first process ends, or the server wants an end; the status to end with."""
    while signal.sigwait({signal.SIGTERM, signal.SIGCHLD}) != signal.SIGTERM:
        for pid, status in buried():
            if pid == first:
                return os.waitstatus_to_exitcode(status) & 0xFF
    return 1


def buried() -> Iterator[tuple[int, int]]:
    """Those that ended, with their status; ChildProcessError where nobody is left."""
    while (one := os.waitpid(-1, os.WNOHANG))[0]:
        yield one


def end() -> None:
    """Kill everybody within reach, at once, and wait until all are gone."""
    with suppress(ChildProcessError):
        while True:
            with suppress(ProcessLookupError):
                os.kill(-1, signal.SIGKILL)
            for _ in buried():
                continue
            time.sleep(_MOMENT)
