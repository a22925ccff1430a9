"""An assistant's message as it grows: images, text, links to files that the code left."""

import re
from collections.abc import Awaitable, Callable, Iterator
from urllib.parse import unquote

from understudy.schemas.base import JSON

PREFIX = "sandbox:/mnt/data/"
_LINK_ENDS = re.compile(r"[)\]\n\"'<>`|]")
_LONGEST_LINK = 512

ResolveLink = Callable[[str], Awaitable[str | None]]
"""From a file's name in /mnt/data to the id of its copy in the file storage; None where there is no such file."""


class LinkScanner:
    """Splits streamed text into plain text and what may be a link, which it holds back until the link has ended."""

    def __init__(self) -> None:
        self._held = ""

    def feed(self, text: str) -> Iterator[tuple[str, bool]]:
        """The pieces that are certain now, each with whether it begins with a link."""
        self._held += text
        while self._held:
            start = self._held.find(PREFIX)
            if start < 0:
                # PREFIX has its only "s" at its beginning: nothing but the last "s" can begin one.
                tail = self._held.rfind("s")
                if tail < 0 or not PREFIX.startswith(self._held[tail:]):
                    tail = len(self._held)
                yield from self._release(tail, link=False)
                return
            if start:
                yield from self._release(start, link=False)
                continue
            end = _LINK_ENDS.search(self._held, len(PREFIX))
            if end is None and len(self._held) <= _LONGEST_LINK:
                return
            yield from self._release(end.start() if end else _LONGEST_LINK, link=True)

    def flush(self) -> Iterator[tuple[str, bool]]:
        """What was held back, as no more text comes."""
        yield from self._release(len(self._held), link=self._held.startswith(PREFIX))

    def _release(self, length: int, *, link: bool) -> Iterator[tuple[str, bool]]:
        piece, self._held = self._held[:length], self._held[length:]
        if piece:
            yield piece, link


def candidates(link: str) -> Iterator[tuple[str, str]]:
    """What `link` may mean, longest first: its text, and the file's name.

    A bare link runs on to the end of its line, so words and punctuation behind it are taken off one by one.
    """
    text = link
    while len(text) > len(PREFIX):
        name = text.removeprefix(PREFIX)
        yield text, name
        if (unquoted := unquote(name)) != name:
            yield text, unquoted
        shorter = text.rstrip(".,;:!?*_")
        text = shorter if shorter != text else text[: max(text.rfind(" "), 0)]


class Answer:
    """The content of one message: `images` first, as the hosted API had them, then text or a refusal."""

    def __init__(self, images: list[str], resolve_link: ResolveLink | None) -> None:
        self._images = images
        self._resolve_link = resolve_link
        self._scanner = LinkScanner()
        self._text: list[str] = []
        self._length = 0
        self._refusal: list[str] = []
        self._annotations: list[JSON] = []

    def opening(self) -> list[JSON]:
        """Deltas of what is there before any text."""
        return [
            {"index": index, "type": "image_file", "image_file": {"file_id": file_id}}
            for index, file_id in enumerate(self._images)
        ]

    async def add_text(self, text: str) -> list[JSON]:
        """Deltas for a piece of text; none while it may be part of a link."""
        if self._resolve_link is None:
            return [self._text_delta(text)] if text else []
        return await self._deltas(self._scanner.feed(text))

    async def finish(self) -> list[JSON]:
        """Deltas for what was held back."""
        return await self._deltas(self._scanner.flush())

    def add_refusal(self, text: str) -> list[JSON]:
        """Deltas for a piece of a refusal."""
        self._refusal.append(text)
        return [{"index": len(self._images), "type": "refusal", "refusal": text}]

    def blocks(self) -> list[JSON]:
        """The content as it is stored."""
        images: list[JSON] = [
            {"type": "image_file", "image_file": {"file_id": file_id, "detail": "auto"}} for file_id in self._images
        ]
        if self._refusal:
            return [*images, {"type": "refusal", "refusal": "".join(self._refusal)}]
        if self._images and not self._text:
            return images
        text = {"value": "".join(self._text), "annotations": self._annotations}
        return [*images, {"type": "text", "text": text}]

    def attachments(self) -> list[JSON]:
        """The files that the text links to."""
        ids = dict.fromkeys(annotation["file_path"]["file_id"] for annotation in self._annotations)
        return [{"file_id": file_id, "tools": [{"type": "code_interpreter"}]} for file_id in ids]

    async def _deltas(self, pieces: Iterator[tuple[str, bool]]) -> list[JSON]:
        deltas = []
        for piece, is_link in pieces:
            if is_link:
                deltas += await self._link_deltas(piece)
            else:
                deltas.append(self._text_delta(piece))
        return deltas

    async def _link_deltas(self, piece: str) -> list[JSON]:
        assert self._resolve_link is not None
        for text, name in candidates(piece):
            if file_id := await self._resolve_link(name):
                rest = piece[len(text) :]
                return [self._link_delta(text, file_id), *([self._text_delta(rest)] if rest else [])]
        return [self._text_delta(piece)]

    def _text_delta(self, text: str) -> JSON:
        value: JSON = {"value": text}
        if not self._text:
            value["annotations"] = []  # the first delta has them, later ones do not [R]
        self._text.append(text)
        self._length += len(text)
        return {"index": len(self._images), "type": "text", "text": value}

    def _link_delta(self, text: str, file_id: str) -> JSON:
        annotation = {
            "type": "file_path",
            "text": text,
            "start_index": self._length,  # code points, end exclusive [R]
            "end_index": self._length + len(text),
            "file_path": {"file_id": file_id},
        }
        delta = self._text_delta(text)
        delta["text"]["annotations"] = [{"index": len(self._annotations), **annotation}]
        self._annotations.append(annotation)
        return delta
