"""The prose of WordprocessingML and DrawingML, read without ever building a tree."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import IO
from xml.parsers import expat

from .refusal import TooLargeError, UnreadableError

PIECE = 64 * 1024
TEXT = {"t": "", "v": "\t", "text": "\n"}
"""Elements that hold text, and what parts it from the next: runs, the values of a chart, a comment on a slide."""
SIGNS = {"tab": "\t", "ptab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-"}
# The same text once more for older readers; text moved away; what properties (…Pr) and definitions hold is no text.
SKIPPED = {"Fallback", "moveFrom", "tblGrid"}


def scan(
    stream: IO[bytes],
    start: Callable[[str, dict[str, str]], None],
    end: Callable[[str], None] | None = None,
    data: Callable[[str], None] | None = None,
) -> None:
    """Read XML; elements are named without their namespace. Raises UnreadableError also where it declares entities."""
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _refuse_doctype
    parser.StartElementHandler = lambda name, attributes: start(_local(name), attributes)
    if end is not None:
        parser.EndElementHandler = lambda name: end(_local(name))
    if data is not None:
        parser.CharacterDataHandler = data
    try:
        while piece := stream.read(PIECE):
            parser.Parse(piece, False)
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise UnreadableError(str(error)) from error


def _refuse_doctype(*_: object) -> None:
    # Office writes none; it is how files are read that are not ours, and how one line becomes a gigabyte.
    raise UnreadableError("it declares a document type")


def _local(name: str) -> str:
    return name.rpartition(" ")[2]


def _end_row(pieces: list[str]) -> None:
    """Without the tabs behind its last cells."""
    while pieces and not pieces[-1].strip("\t"):
        pieces.pop()
    if pieces:
        pieces[-1] = pieces[-1].rstrip("\t")
    pieces.append("\n")


@dataclass(slots=True)
class _Frame:
    """Text that stands together: the body, a table's cell, a text box."""

    pieces: list[str] = field(default_factory=list)
    boxes: list[str] = field(default_factory=list)

    def text(self) -> str:
        return "".join(self.pieces + self.boxes)


class Prose:
    """The text of one part, as its XML goes by."""

    def __init__(self, limit: int) -> None:
        self._frames = [_Frame()]
        self._room = limit
        self._reading = False
        self._skipped = 0

    def read(self, stream: IO[bytes]) -> str:
        """The text of a part. Raises UnreadableError, TooLargeError."""
        scan(stream, self._start, self._end, self._data)
        return self._frames[0].text()

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if self._skipped or name in SKIPPED or name.endswith("Pr") or attributes.get("type") == "slidenum":
            self._skipped += 1
        elif name in TEXT:
            self._reading = True
        elif name in SIGNS:
            self._frames[-1].pieces.append(SIGNS[name])
        elif name in ("tc", "txbxContent"):
            self._frames.append(_Frame())

    def _end(self, name: str) -> None:
        if self._skipped:
            self._skipped -= 1
            return
        frame = self._frames[-1]
        match name:
            case "t" | "v" | "text":
                self._reading = False
                frame.pieces.append(TEXT[name])
            case "p":
                # A text box hangs in the middle of a paragraph; it is told after it.
                frame.pieces += ["\n", *frame.boxes]
                frame.boxes.clear()
            case "tc":
                self._frames.pop()
                self._frames[-1].pieces.append(" ".join(frame.text().split()) + "\t")
            case "txbxContent":
                self._frames.pop()
                self._frames[-1].boxes.append(frame.text())
            case "tr" | "ser":
                _end_row(frame.pieces)

    def _data(self, text: str) -> None:
        if self._reading and not self._skipped:
            self._room -= len(text)
            if self._room < 0:
                raise TooLargeError
            self._frames[-1].pieces.append(text)
