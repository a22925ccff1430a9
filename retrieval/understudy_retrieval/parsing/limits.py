"""Every number of the parser, in one frozen object."""

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class ParseLimits:
    """What reading one file may cost."""

    memory: int = 1024 * MIB
    """Bytes that the child process may address (RLIMIT_AS)."""
    cpu: int = 60
    """Seconds of processor time of the child (RLIMIT_CPU)."""
    wall: float = 120.0
    """Seconds after which the child is killed."""
    text: int = 50_000_000
    """Bytes of text, as UTF-8, that a file may yield: twice what five million tokens commonly are."""
    file: int = 512 * MIB
    """Bytes of a file: as many as the API takes."""
    zip_bytes: int = 1024 * MIB
    """Bytes that all entries of a .docx or .pptx may hold once they are unpacked."""
    zip_entries: int = 10_000
    """Entries of a .docx or .pptx."""
