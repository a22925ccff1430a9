"""HTML: what a reader sees of a page, a line for each block."""

import codecs
import re
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from typing import Any

from .plain import decoded, encoding_of

UNSEEN = {"script", "style"}
CELLS = {"td", "th"}
_BLOCKS = (
    "address article aside blockquote body br caption center dd details dialog dir div dl dt fieldset figcaption "
    "figure footer form h1 h2 h3 h4 h5 h6 head header hr html legend li main menu nav ol optgroup option p pre "
    "section select summary table tbody tfoot thead title tr ul"
)
BLOCKS = frozenset(_BLOCKS.split())
SPACE = re.compile("[ \t\r\n\f]+")
DECLARED = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([\w-]{1,40})""", re.IGNORECASE)
DECLARED_WITHIN = 2048


def texts(path: str, limits: Mapping[str, Any]) -> Iterator[str]:
    """The text of a page, in pieces."""
    page = Page()
    for piece in decoded(path, _encoding(path, limits["text"])):
        page.feed(piece)
        yield page.take()
    page.close()
    yield page.take()


def _encoding(path: str, most: int) -> str:
    found = encoding_of(path, most)
    if found != "cp1252":
        return found
    # Neither UTF-8 nor UTF-16: what the page says of itself is the better guess.
    with open(path, "rb") as file:
        declared = DECLARED.search(file.read(DECLARED_WITHIN))
    try:
        name = codecs.lookup(declared[1].decode()).name if declared else found
    except LookupError:
        return found
    return found if name in ("ascii", "iso8859-1", "utf-8") else name


class Page(HTMLParser):
    """Takes HTML, gives lines."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._pieces: list[str] = []
        self._last = "\n"
        self._preformatted = 0
        self._unseen = False

    def take(self) -> str:
        """What was read since the last time."""
        text = "".join(self._pieces)
        self._pieces.clear()
        return text

    def handle_starttag(self, tag: str, attrs: Any) -> None:  # noqa: ARG002 - as the parser calls it
        """A block begins a line, a cell is parted from the one before it."""
        self._unseen = tag in UNSEEN
        if tag in BLOCKS:
            self._break()
        elif tag in CELLS and self._last != "\n":
            self._say("\t")
        self._preformatted += tag == "pre"

    def handle_endtag(self, tag: str) -> None:
        """A block ends its line."""
        self._unseen = False
        if tag in BLOCKS:
            self._break()
        self._preformatted -= tag == "pre" and self._preformatted > 0

    def handle_data(self, data: str) -> None:
        """Text: space is one space, but in a `pre`."""
        if self._unseen:
            return
        if not self._preformatted:
            data = SPACE.sub(" ", data)
            if self._last in " \n\t":
                data = data.lstrip(" ")
        self._say(data)

    def _break(self) -> None:
        if self._last != "\n":
            self._say("\n")

    def _say(self, text: str) -> None:
        if text:
            self._pieces.append(text)
            self._last = text[-1]
