"""Locks on files, which end with the process that holds them."""

import os
from typing import IO, Any


def lock(file: IO[Any]) -> bool:
    """Lock an open file until it is closed; False where somebody else has. Windows has no such locks: always True."""
    if os.name != "posix":
        return True
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
