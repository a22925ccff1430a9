"""Streamed text split into plain text and what may be a link to a file or a citation's mark."""

import re
from collections.abc import Iterator
from typing import Literal

Kind = Literal["text", "link", "mark"]
Piece = tuple[str, Kind]

PREFIX = "sandbox:/mnt/data/"
_LINK_ENDS = re.compile(r"[)\]\[【\n\"'<>`|]")
_LONGEST_LINK = 512
# As the model is told to write them, without the file's name, and with ASCII brackets.
_NAME, _ASCII_NAME = r"[^【】\n]{0,400}", r"(?:(?!\[\d)[^\]\n]){0,400}"
_MARK = re.compile(rf"【\d{{1,4}}:\d{{1,4}}(?:†{_NAME})?】|\[\d{{1,4}}:\d{{1,4}}†{_ASCII_NAME}\]")
_MARK_SO_FAR = re.compile(
    r"【(?:\d{0,4}|\d{1,4}:\d{0,4}"
    rf"|\d{{1,4}}:\d{{1,4}}†{_NAME})|\[(?:\d{{0,4}}|\d{{1,4}}:\d{{0,4}}|\d{{1,4}}:\d{{1,4}}†{_ASCII_NAME})"
)
_LINK_STARTS = r"s(?:a|\Z)"
_MARK_STARTS = r"[【\[](?:\d|\Z)"


class Scanner:
    """Holds text back only while it may still become a link, or a mark."""

    def __init__(self, *, links: bool, marks: bool) -> None:
        starts = [start for start, wanted in ((_LINK_STARTS, links), (_MARK_STARTS, marks)) if wanted]
        self._starts = re.compile("|".join(starts)) if starts else None
        self._held = ""

    def feed(self, text: str) -> Iterator[Piece]:
        """The pieces that are certain now."""
        self._held += text
        at = 0
        while self._starts and (found := self._starts.search(self._held, at)):
            start = found.start()
            length = self._length(start)
            if length == 0:
                at = start + 1
                continue
            yield from self._release(start, "text")
            if length is None:
                return
            yield from self._release(length, "link" if self._held[0] == "s" else "mark")
            at = 0
        yield from self._release(len(self._held), "text")

    def flush(self) -> Iterator[Piece]:
        """What was held back, as no more text comes."""
        yield from self._release(len(self._held), "link" if self._held.startswith(PREFIX) else "text")

    def _length(self, start: int) -> int | None:
        """The length of the link or mark at `start`: 0 where there is none, None where more text will tell."""
        held = self._held
        if held[start] != "s":
            if mark := _MARK.match(held, start):
                return mark.end() - start
            return None if _MARK_SO_FAR.fullmatch(held, start) else 0
        if not held.startswith(PREFIX, start):
            return None if PREFIX.startswith(held[start:]) else 0
        if end := _LINK_ENDS.search(held, start + len(PREFIX)):
            return end.start() - start
        return _LONGEST_LINK if len(held) - start > _LONGEST_LINK else None

    def _release(self, length: int, kind: Kind) -> Iterator[Piece]:
        piece, self._held = self._held[:length], self._held[length:]
        if piece:
            yield piece, kind
