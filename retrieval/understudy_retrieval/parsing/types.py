"""The types of file that can be searched: the API's list. Cheap to import."""

from pathlib import PurePath

_NAMES = "c cpp cs css doc docx go html java js json md pdf php pptx py rb sh tex ts txt"
SUPPORTED_SUFFIXES = frozenset(f".{name}" for name in _NAMES.split())


def suffix_of(filename: str) -> str:
    """The last suffix of a name, with its dot, in small letters; empty where there is none."""
    return PurePath(filename).suffix.lower()


def is_supported(filename: str) -> bool:
    """Whether files of this name can be searched."""
    return suffix_of(filename) in SUPPORTED_SUFFIXES
