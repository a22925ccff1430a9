"""What a call gives back: logs, images and the verdict on the call itself."""

from dataclasses import dataclass
from typing import Literal

Status = Literal[
    "ok",
    "error",
    "timeout",
    "died",
    "output_limit",
    "protocol_error",
    "killed:memory",
    "killed:disk",
    "killed:files",
    "killed:processes",
]


@dataclass(frozen=True, slots=True)
class Logs:
    """Text that the code printed, or that its last expression or its error gave."""

    text: str


@dataclass(frozen=True, slots=True)
class Image:
    """An image that the code displayed."""

    content: bytes
    media_type: str
    """`image/png` or `image/jpeg`."""


Output = Logs | Image


@dataclass(frozen=True, slots=True)
class ExecResult:
    """The outcome of one call."""

    status: Status
    outputs: tuple[Output, ...]
    """In the order in which they happened, neighbouring logs merged, within the limits."""
    note: str | None
    """Sentences for the model when a limit struck or the state was lost; they are in `outputs` too."""
    changed_files: tuple[str, ...]
    """Regular files that the call created or changed, relative to /mnt/data."""
