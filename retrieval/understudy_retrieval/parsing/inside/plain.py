"""Source code, Markdown and other text: UTF-8, UTF-16 with or without its mark, else cp1252."""

import codecs
from collections.abc import Iterator, Mapping
from typing import Any

from .refusal import TooLargeError, UnreadableError

PIECE = 1024 * 1024
SAMPLE = 64 * 1024
MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
SIGNATURES = (b"%PDF-", b"PK\x03\x04", b"\xd0\xcf\x11\xe0", b"\x7fELF", b"\x89PNG", b"\x1f\x8b", b"\xff\xd8\xff")
CONTROLS = bytes(set(range(32)) - set(b"\b\t\n\v\f\r\x1a\x1b"))
CONTROLS_BORNE = 0.02


def texts(path: str, limits: Mapping[str, Any]) -> Iterator[str]:
    """The text of a file, in pieces."""
    encoding = encoding_of(path, limits["text"])
    return decoded(path, encoding)


def encoding_of(path: str, most: int) -> str:
    """The encoding of a text file. Raises UnreadableError where it is none, TooLargeError by its size."""
    with open(path, "rb") as file:
        sample = file.read(SAMPLE)
        size = file.seek(0, 2)
    if sample.startswith(SIGNATURES):
        raise UnreadableError("not text")
    marked = next((encoding for mark, encoding in MARKS if sample.startswith(mark)), None) or _unmarked(sample)
    if size > most * {"utf-32": 4, "utf-8": 1}.get(marked or "utf-8", 2) + 4:
        raise TooLargeError
    for encoding in (marked, "utf-8"):
        if encoding and _decodes(path, encoding):
            if encoding == "utf-8" and _share(sample, CONTROLS) > CONTROLS_BORNE:
                raise UnreadableError("not text")
            return encoding
    if _share(sample, CONTROLS) > CONTROLS_BORNE or _holds_nul(path):
        raise UnreadableError("not text")
    return "cp1252"


def decoded(path: str, encoding: str) -> Iterator[str]:
    """A file's text by its encoding; the few bytes that cp1252 does not know are dropped."""
    decoder = codecs.getincrementaldecoder(encoding)("ignore" if encoding == "cp1252" else "strict")
    with open(path, "rb") as file:
        while piece := file.read(PIECE):
            yield decoder.decode(piece)
    yield decoder.decode(b"", True)


def _decodes(path: str, encoding: str) -> bool:
    try:
        for _ in decoded(path, encoding):
            pass
    except UnicodeError:
        return False
    return True


def _unmarked(sample: bytes) -> str | None:
    """UTF-16 without its mark, told by where Latin letters have their zeros."""
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    if odd > len(sample) // 4 and not even:
        return "utf-16-le"
    return "utf-16-be" if even > len(sample) // 4 and not odd else None


def _share(sample: bytes, of: bytes) -> float:
    return (len(sample) - len(sample.translate(None, of))) / max(len(sample), 1)


def _holds_nul(path: str) -> bool:
    with open(path, "rb") as file:
        return any(b"\0" in piece for piece in iter(lambda: file.read(PIECE), b""))
