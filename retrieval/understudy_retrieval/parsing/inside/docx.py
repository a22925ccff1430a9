"""Word documents: body, notes, comments, then what stands in headers and footers."""

from collections.abc import Iterator, Mapping
from typing import Any

from .package import Package


def texts(path: str, limits: Mapping[str, Any]) -> Iterator[str]:
    """The text of each part; a header that several sections share is told once."""
    package = Package(path, limits)
    main = package.main_part()
    yield package.text(main)
    for kind in ("diagramData", "chart", "footnotes", "endnotes", "comments", "header", "footer"):
        told = set()
        for part in package.related(main, kind):
            text = package.text(part).strip()
            if text and text not in told:
                told.add(text)
                yield f"\n{text}\n"
