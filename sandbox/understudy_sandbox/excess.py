"""The limits of a whole jail, by name, and what the model is told when one struck."""

from typing import Literal

from .limits import MIB, SandboxLimits
from .outputs import Status

Excess = Literal["memory", "disk", "files", "processes"]

KILLED: dict[Excess, Status] = {
    "memory": "killed:memory",
    "disk": "killed:disk",
    "files": "killed:files",
    "processes": "killed:processes",
}

_ENDED = "and the interpreter was ended: variables and imports are gone."


def told(excess: Excess, limits: SandboxLimits) -> str:
    """What happened, and how to do better."""
    if excess == "memory":
        return (
            f"The code used more than {limits.memory // MIB} MiB of memory {_ENDED} The files in /mnt/data were kept. "
            "Work in smaller pieces: read only the rows and columns that are needed, and delete what is not used again."
        )
    if excess == "processes":
        return (
            f"The code ran more than {limits.processes} processes and threads {_ENDED} The files in /mnt/data were "
            "kept. Start fewer at a time, and wait for those that were started."
        )
    if excess == "disk":
        return (
            f"The code wrote more than {limits.disk // MIB} MiB of files {_ENDED} "
            "Write less, compress, and delete what is not needed."
        )
    return (
        f"The code made more than {limits.files} files, or folders nested more than {limits.depth} deep, {_ENDED} "
        "Put many small files into one, such as a table or a zip archive."
    )


def told_deleted(names: tuple[str, ...]) -> str:
    """Which entries of /mnt/data had to go so that the rest is within the limits."""
    if not names:
        return "The files in /mnt/data were kept."
    # A name may be anything; what is told must be text.
    names = tuple(name.encode("utf-8", "replace").decode() for name in names)
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    return f"To make room these were deleted from /mnt/data: {shown}. The rest was kept."
