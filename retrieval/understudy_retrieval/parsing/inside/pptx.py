"""Presentations: each slide in its order, with its diagrams, speaker's notes and comments."""

from collections.abc import Iterator, Mapping
from typing import Any

from .package import Package

RELATION = "http://schemas.openxmlformats.org/officeDocument/2006/relationships id"
STRICT_RELATION = "http://purl.oclc.org/ooxml/officeDocument/relationships id"


def texts(path: str, limits: Mapping[str, Any]) -> Iterator[str]:
    """The text of each slide, and of what hangs on it."""
    package = Package(path, limits)
    main = package.main_part()
    slides = package.relations(main)
    for entry in package.elements(main, "sldId"):
        identifier = entry.get(RELATION) or entry.get(STRICT_RELATION) or ""
        if identifier not in slides:
            continue
        slide = slides[identifier][1]
        for part in [slide, *package.related(slide, "diagramData", "chart", "notesSlide", "comments")]:
            text = package.text(part).strip()
            if text:
                yield f"{text}\n\n"
