"""An assistant's message as it grows: images, text, links to files that the code left, citations of searched files."""

from collections.abc import Awaitable, Callable, Iterator
from urllib.parse import unquote

from understudy.runs import citations
from understudy.runs.citations import Sources
from understudy.runs.scanner import PREFIX, Piece, Scanner
from understudy.schemas.base import JSON

ResolveLink = Callable[[str], Awaitable[str | None]]
"""From a file's name in /mnt/data to the id of its copy in the file storage; None where there is no such file."""


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

    def __init__(self, images: list[str], resolve_link: ResolveLink | None, sources: Sources) -> None:
        self._images = images
        self._resolve_link = resolve_link
        self._sources = sources
        self._scanner = Scanner(links=resolve_link is not None, marks=bool(sources))
        self._text: list[str] = []
        self._length = 0
        self._refusal: list[str] = []
        self._annotations: list[JSON] = []

    def opening(self) -> list[JSON]:
        """Deltas of what is there before any text."""
        return [
            {"index": index, "type": "image_file", "image_file": {"file_id": file_id, "detail": "auto"}}
            for index, file_id in enumerate(self._images)
        ]

    async def add_text(self, text: str) -> list[JSON]:
        """Deltas for a piece of text; none while it may be part of a link or a mark."""
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
        links = [annotation["file_path"] for annotation in self._annotations if annotation["type"] == "file_path"]
        ids = dict.fromkeys(link["file_id"] for link in links)
        return [{"file_id": file_id, "tools": [{"type": "code_interpreter"}]} for file_id in ids]

    async def _deltas(self, pieces: Iterator[Piece]) -> list[JSON]:
        deltas = []
        for piece, kind in pieces:
            if kind == "link":
                deltas += await self._link_deltas(piece)
            elif kind == "mark" and (file_id := self._sources.get(citations.place(piece))):
                deltas.append(self._annotated("file_citation", piece, {"file_id": file_id}, {"quote": ""}))
            else:
                deltas.append(self._text_delta(piece))
        return deltas

    async def _link_deltas(self, piece: str) -> list[JSON]:
        assert self._resolve_link is not None
        for text, name in candidates(piece):
            if file_id := await self._resolve_link(name):
                rest = piece[len(text) :]
                link = self._annotated("file_path", text, {"file_id": file_id})
                return [link, *([self._text_delta(rest)] if rest else [])]
        return [self._text_delta(piece)]

    def _text_delta(self, text: str) -> JSON:
        value: JSON = {"value": text}
        if not self._text:
            value["annotations"] = []  # the first delta has them, later ones do not [R]
        self._text.append(text)
        self._length += len(text)
        return {"index": len(self._images), "type": "text", "text": value}

    def _annotated(self, kind: str, text: str, file: JSON, streamed: JSON | None = None) -> JSON:
        """The delta of a text with its annotation; `streamed` is what only the delta has of `file` [R]."""
        annotation = {
            "type": kind,
            "text": text,
            "start_index": self._length,  # code points, end exclusive [R]
            "end_index": self._length + len(text),
            kind: file,
        }
        delta = self._text_delta(text)
        delta["text"]["annotations"] = [{"index": len(self._annotations), **annotation, kind: file | (streamed or {})}]
        self._annotations.append(annotation)
        return delta
