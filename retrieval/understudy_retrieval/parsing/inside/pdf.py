"""PDF: pdfium page by page, and pypdf where that finds nothing."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import pypdfium2  # type: ignore[import-untyped]
from pypdfium2 import PdfDocument, PdfiumError

from .refusal import UnreadableError

LIGATURES = str.maketrans({0xFB00: "ff", 0xFB01: "fi", 0xFB02: "fl", 0xFB03: "ffi", 0xFB04: "ffl", 0xFB06: "st"})
SIGNATURE_WITHIN = 1024
PAGES_LOST = 100
EVERYWHERE = 1e6


def texts(path: str, _: Mapping[str, Any]) -> Iterator[str]:
    """The text of the pages, each with an empty line after it."""
    with open(path, "rb") as file:
        if b"%PDF-" not in file.read(SIGNATURE_WITHIN):
            raise UnreadableError("not a PDF")
    empty = True
    for pages in (_by_pdfium, _by_pypdf):
        for page in pages(path):
            text = page.translate(LIGATURES).strip()
            if text:
                empty = False
                yield text + "\n\n"
        if not empty:
            return


def _by_pdfium(path: str) -> Iterator[str]:
    try:
        document = PdfDocument(path)
    except PdfiumError as error:
        if error.err_code == pypdfium2.raw.FPDF_ERR_PASSWORD:
            raise UnreadableError("encrypted") from error
        return
    document.init_forms()
    lost = 0
    for number in range(len(document)):
        try:
            yield _page(document, number)
            lost = 0
        except PdfiumError:
            lost += 1
            if lost == PAGES_LOST:
                return


def _page(document: PdfDocument, number: int) -> str:
    page = document[number]
    # What was filled into a form or written over the page becomes its text; its handle is void then.
    if pypdfium2.raw.FPDFPage_Flatten(page, pypdfium2.raw.FLAT_NORMALDISPLAY) == pypdfium2.raw.FLATTEN_SUCCESS:
        page.close()
        page = document[number]
    text_page = page.get_textpage()
    # Also what runs off the page. A word that goes on in the next line comes whole, its hyphen a control character.
    text: str = text_page.get_text_bounded(-EVERYWHERE, -EVERYWHERE, EVERYWHERE, EVERYWHERE)
    text_page.close()
    page.close()
    return text


def _by_pypdf(path: str) -> Iterator[str]:
    from pypdf import PdfReader

    reader = PdfReader(path)
    if reader.is_encrypted:
        raise UnreadableError("encrypted")
    for page in reader.pages:
        # Over a damaged page it raises whatever comes; the next may be whole.
        with suppress(Exception):
            yield page.extract_text()
