"""Landlock, by its three system calls: rules on files, and on whom signals and sockets may reach.

https://docs.kernel.org/userspace-api/landlock.html
"""

import ctypes
import os
import stat
import struct
from collections.abc import Iterable

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_MAKE_CHAR, _MAKE_BLOCK, _REFER, _TRUNCATE, _IOCTL_DEV = 1 << 6, 1 << 11, 1 << 13, 1 << 14, 1 << 15

READ = EXECUTE | READ_FILE | READ_DIR
DEVICE = READ_FILE | WRITE_FILE | _TRUNCATE
ALL = (1 << 16) - 1
WRITE = ALL & ~(_MAKE_CHAR | _MAKE_BLOCK | _IOCTL_DEV)
"""All that may be done in a folder of the code's own."""
_OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | _TRUNCATE | _IOCTL_DEV

_SCOPE_SOCKETS, SCOPE_SIGNALS = 1 << 0, 1 << 1
SCOPES = _SCOPE_SOCKETS | SCOPE_SIGNALS
"""No abstract socket and no process outside can be reached."""
SCOPED_SINCE = 6
"""The version that knows scopes."""

_TCP = 0b11
_CREATE, _ADD, _RESTRICT = 444, 445, 446
_VERSION, _PATH_BENEATH = 1, 1
_UNLOGGED = 1 | 4
"""Neither what the code tries nor what domains of its own refuse fills the host's log."""
_NO_NEW_PRIVS = 38

_libc = ctypes.CDLL(None, use_errno=True)


def abi() -> int:
    """The version of Landlock that this system has, 0 for none."""
    version: int = _libc.syscall(_CREATE, None, ctypes.c_size_t(0), _VERSION)
    return max(0, version)


def ruleset(version: int, rules: Iterable[tuple[str, int]], scopes: int) -> int:
    """Files may be used by the rules only, a path and what may be done with it or below it; a descriptor."""
    fd = _ruleset(version, _files(version), scopes)
    for path, access in rules:
        try:
            _allow(fd, path, access & _files(version))
        except FileNotFoundError:
            continue
    return fd


def scope(version: int) -> int:
    """Any file may be used, but no process outside be signalled; a descriptor."""
    return _ruleset(version, 0, SCOPE_SIGNALS)


def enter(version: int, fd: int) -> None:
    """Hold this process and all that it starts to a ruleset, for good, and close it; only where it has one thread."""
    _check(_libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    _check(_libc.syscall(_RESTRICT, fd, _UNLOGGED if version >= 7 else 0), "landlock_restrict_self")
    os.close(fd)


def _files(version: int) -> int:
    """Every use of a file that a version knows."""
    known = {1: 13, 2: 14, 3: 15, 4: 15}.get(version, 16)
    return (1 << known) - 1


def _ruleset(version: int, files: int, scopes: int) -> int:
    attributes = [files] + [_TCP if files else 0] * (version >= 4) + [scopes] * (version >= SCOPED_SINCE)
    packed = struct.pack(f"={len(attributes)}Q", *attributes)
    return _check(_libc.syscall(_CREATE, packed, ctypes.c_size_t(len(packed)), 0), "landlock_create_ruleset")


def _allow(fd: int, path: str, access: int) -> None:
    # Left open on purpose: the system would forget a rule on a file of /proc with the last that holds it.
    beneath = os.open(path, os.O_PATH | os.O_CLOEXEC)
    if not stat.S_ISDIR(os.fstat(beneath).st_mode):
        access &= _OF_FILES
    packed = struct.pack("=Qi", access, beneath)
    _check(_libc.syscall(_ADD, fd, _PATH_BENEATH, packed, 0), "landlock_add_rule")


def _check(result: int, what: str) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")
    return result
