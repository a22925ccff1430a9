"""Word's binary documents, by [MS-DOC]: the pieces that the table stream lists, wherever in the file they lie."""

import re
import struct
from collections.abc import Iterator, Mapping
from typing import Any

from olefile import OleFileIO  # type: ignore[import-untyped]

from .refusal import TooLargeError, UnreadableError

MAGICS = {0xA5EC, 0xA5DC}
WORD_97 = 0xC1
ENCRYPTED, SECOND_TABLE = 0x0100, 0x0200
CLX = 33
"""The place of the piece table among the FIB's pairs of offset and length."""
PIECES, PROPERTIES = 2, 1

FIELD_BEGIN, FIELD_RESULT, FIELD_END = "\x13", "\x14", "\x15"
FIELD_MARK = re.compile(f"[{FIELD_BEGIN}{FIELD_RESULT}{FIELD_END}]")
SIGNS = str.maketrans({"\x07": "\t", "\x0b": "\n", "\x0c": "\n", "\x0e": "\n", "\x1e": "-"})


def texts(path: str, limits: Mapping[str, Any]) -> Iterator[str]:
    """The document with its notes, headers and text boxes, which follow each other as characters do."""
    with OleFileIO(path) as ole:
        main: bytes = ole.openstream("WordDocument").read()
        magic, version = struct.unpack_from("<HH", main)
        (flags,) = struct.unpack_from("<H", main, 10)
        if magic not in MAGICS:
            raise UnreadableError("not a Word document")
        if flags & ENCRYPTED:
            raise UnreadableError("encrypted")
        if version < WORD_97:
            first, last = struct.unpack_from("<II", main, 24)
            text = main[first:last].decode("cp1252", "ignore")
        else:
            table: bytes = ole.openstream("1Table" if flags & SECOND_TABLE else "0Table").read()
            text = "".join(_pieces(main, _piece_table(main, table), limits["text"]))
    # A row ends in the mark of its last cell and one of its own.
    yield _without_fields(text.replace("\x07\x07", "\n")).translate(SIGNS)


def _piece_table(main: bytes, table: bytes) -> bytes:
    """The list of pieces, which stands behind lists of properties. Raises UnreadableError."""
    at = 32
    for width in (2, 4):
        (count,) = struct.unpack_from("<H", main, at)
        at += 2 + count * width
    start, size = struct.unpack_from("<II", main, at + 2 + CLX * 8)
    clx = table[start : start + size]
    at = 0
    while at < len(clx) and clx[at] == PROPERTIES:
        at += 3 + struct.unpack_from("<H", clx, at + 1)[0]
    if at >= len(clx) or clx[at] != PIECES:
        raise UnreadableError("no piece table")
    (size,) = struct.unpack_from("<I", clx, at + 1)
    return clx[at + 5 : at + 5 + size]


def _pieces(main: bytes, table: bytes, room: int) -> Iterator[str]:
    count = (len(table) - 4) // 12
    positions = struct.unpack_from(f"<{count + 1}I", table)
    for number in range(count):
        length = positions[number + 1] - positions[number]
        (offset,) = struct.unpack_from("<I", table, 4 * (count + 1) + 8 * number + 2)
        room -= length
        if length < 0:
            raise UnreadableError("pieces overlap")
        if room < 0:
            raise TooLargeError
        if offset & 0x4000_0000:
            start = (offset & 0x3FFF_FFFF) // 2
            yield main[start : start + length].decode("cp1252", "ignore")
        else:
            yield main[offset : offset + 2 * length].decode("utf-16-le", "ignore")


def _without_fields(text: str) -> str:
    """Without the instructions of fields: their results are what readers see."""
    kept: list[str] = []
    hidden: list[bool] = []
    at = 0
    for mark in FIELD_MARK.finditer(text):
        if not any(hidden):
            kept.append(text[at : mark.start()])
        at = mark.end()
        if mark[0] == FIELD_BEGIN:
            hidden.append(True)
        elif hidden and mark[0] == FIELD_RESULT:
            hidden[-1] = False
        elif hidden:
            hidden.pop()
    if not any(hidden):
        kept.append(text[at:])
    return "".join(kept)
