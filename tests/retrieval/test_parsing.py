"""What each type of file gives, as text."""

import io
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from pypdf import PdfWriter

from understudy_retrieval.errors import FileRefusedError
from understudy_retrieval.parsing import parse
from understudy_retrieval.parsing.types import SUPPORTED_SUFFIXES, is_supported

from .documents import COMPATIBLE, DRAWING, SLIDES, WORD, doc, doc_95, docx, line, paragraph, pdf, pptx

pytestmark = pytest.mark.anyio

Read = Callable[[str, bytes], Awaitable[str]]

DOCUMENTS = {
    ".pdf": pdf("A tachyon"),
    ".docx": docx(paragraph("A tachyon")),
    ".pptx": pptx({"slide1": line("A tachyon")}),
    ".doc": doc([("A tachyon\r", True)]),
}


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """The text of a file of this name and content."""

    async def read(filename: str, content: bytes) -> str:
        # Stored files are named by their ids, so the type is told by the name that the user gave.
        path = tmp_path / "file-1"
        path.write_bytes(content)
        return await parse(path, filename)

    return read


def test_the_api_s_list_is_supported() -> None:
    assert len(SUPPORTED_SUFFIXES) == 21
    assert is_supported("Notes.TXT")
    assert not is_supported("table.csv")
    assert not is_supported("pdf")
    assert not is_supported(".pdf")


@pytest.mark.parametrize("suffix", sorted(SUPPORTED_SUFFIXES))
async def test_each_type_gives_its_text(read: Read, suffix: str) -> None:
    assert "A tachyon" in await read(f"notes{suffix.upper()}", DOCUMENTS.get(suffix, b"A tachyon"))


async def test_other_types_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileRefusedError) as refused:
        await parse(tmp_path / "never looked at", "table.csv")
    assert (refused.value.code, refused.value.message) == ("unsupported_file", "The file type is not supported.")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("Übergröße 漢字 😀".encode(), "Übergröße 漢字 😀"),
        ("Übergröße".encode("utf-8-sig"), "Übergröße"),
        ("Übergröße 😀".encode("utf-16"), "Übergröße 😀"),
        ("Übergröße".encode("utf-32"), "Übergröße"),
        (b"\xfe\xff" + "Übergröße".encode("utf-16-be"), "Übergröße"),
        ("no mark".encode("utf-16-le"), "no mark"),
        ("no mark".encode("utf-16-be"), "no mark"),
        ("“Übergröße” – 5 €".encode("cp1252"), "“Übergröße” – 5 €"),
        (b"a\x81b \xfc", "ab ü"),
        (b"one\r\ntwo\rthree\nfour\x0bfive\xc2\x85six", "one\ntwo\nthree\nfour\nfive\nsix"),
        (b"end\r", "end\n"),
        (b"a\tb\x0cc", "a\tb\x0cc"),
        (
            b"one bell\x07, one zero\0 and \x1b[31mcolour" + b" in a long line" * 9,
            "one bell, one zero and [31mcolour" + " in a long line" * 9,
        ),
        ("soft\u00adhyphen\ufeff\uffff".encode(), "softhyphen"),
    ],
)
async def test_encodings_and_line_ends(read: Read, content: bytes, text: str) -> None:
    assert await read("a.txt", content) == text


async def test_a_character_across_pieces_stays_whole(read: Read) -> None:
    text = "x" + "😀\r\n" * 200_000
    assert await read("a.md", text.encode()) == text.replace("\r", "")


async def test_html(read: Read) -> None:
    page = """<!DOCTYPE html><html><head><title>On &eacute;lan</title><style>p { color: red }</style>
        <script>if (a < b) document.write("<p>no</p>")</script></head><body><!-- no -->
        <h1>First</h1><p>One <b>bold</b> word &amp; a&nbsp;half,<br>then &#8364; 5</p><SCRIPT>no</SCRIPT>
        <table><tr><th>Name</th><th>Age</th></tr><tr><td>Ann</td><td>41</td></tr></table>
        <ul><li>x<li>y</ul><pre>a\n  b</pre>Unclosed <i>end"""
    assert (await read("a.html", page.encode())).strip() == (
        "On élan\nFirst\nOne bold word & a\xa0half,\nthen € 5\nName\tAge\nAnn\t41\nx\ny\na\n  b\nUnclosed end"
    )


async def test_html_says_its_encoding(read: Read) -> None:
    page = '<meta http-equiv="Content-Type" content="text/html; charset=Shift_JIS"><p>日本語'
    assert (await read("a.html", page.encode("shift_jis"))).strip() == "日本語"
    assert (await read("a.html", b"<meta charset=klingon><p>\xfcber")).strip() == "über"


async def test_pdf_pages(read: Read) -> None:
    assert await read("a.pdf", pdf("First page", "", "Third \\(page\\)")) == "First page\n\nThird (page)\n\n"


async def test_a_pdf_form_tells_what_was_filled_in(read: Read) -> None:
    look = "BT /F 12 Tf 2 5 Td (Ada Lovelace) Tj ET"
    field = (
        "<< /Type /Annot /Subtype /Widget /FT /Tx /T (name) /V (Ada Lovelace) /Rect [72 600 300 620] /F 4 "
        "/AP << /N 5 0 R >> /DA (/F 12 Tf) >>"
    )
    form = (
        "<< /Type /XObject /Subtype /Form /BBox [0 0 228 20] /Resources << /Font << /F 3 0 R >> >> "
        f"/Length {len(look)} >>\nstream\n{look}\nendstream"
    )
    text = await read("a.pdf", pdf("Name:", objects=[field, form], page="/Annots [4 0 R]"))
    assert text.split() == ["Name:", "Ada", "Lovelace"]


async def test_a_pdf_that_only_bars_printing_is_read(read: Read) -> None:
    writer = PdfWriter(clone_from=io.BytesIO(pdf("For all eyes")))
    writer.encrypt("", "owner", algorithm="RC4-128")
    encrypted = io.BytesIO()
    writer.write(encrypted)
    assert await read("a.pdf", encrypted.getvalue()) == "For all eyes\n\n"


async def test_docx(read: Read) -> None:
    box = f"<w:txbxContent>{paragraph('In a box')}</w:txbxContent>"
    body = (
        f"<w:p><w:r><w:t>Before</w:t></w:r><w:r><mc:AlternateContent><mc:Choice>{box}</mc:Choice>"
        f"<mc:Fallback>{box}</mc:Fallback></mc:AlternateContent></w:r><w:r><w:t> and after</w:t></w:r></w:p>"
        f"<w:tbl><w:tr><w:tc>{paragraph('A1')}{paragraph('still')}</w:tc><w:tc>{paragraph('B1')}</w:tc></w:tr>"
        f"<w:tr><w:tc>{paragraph('A2')}</w:tc><w:tc>{paragraph('')}</w:tc></w:tr></w:tbl>"
        "<w:p><w:r><w:t>one</w:t><w:tab/><w:t>two</w:t><w:br/><w:t>e</w:t><w:noBreakHyphen/><w:t>mail</w:t></w:r>"
        "<w:del><w:r><w:delText>deleted</w:delText></w:r></w:del><w:moveFrom><w:r><w:t>moved</w:t></w:r></w:moveFrom>"
        "<w:r><w:instrText>PAGE</w:instrText></w:r></w:p>"
    )
    kinds = ["footnotes", "endnotes", "comments", "header", "footer"]
    parts = {f"word/{kind}.xml": f"<w:x {WORD}>{paragraph(f'In {kind}')}</w:x>" for kind in kinds}
    related = [(kind, f"{kind}.xml") for kind in [*kinds, "header"]] + [("comments", "missing.xml")]
    text = await read("a.docx", docx(body, parts, related))
    assert [row for row in text.split("\n") if row] == [
        "Before and after",
        "In a box",
        "A1 still\tB1",
        "A2",
        "one\ttwo",
        "e-mail",
        *[f"In {kind}" for kind in kinds],
    ]


async def test_pptx_in_the_order_of_the_presentation(read: Read) -> None:
    number = '<a:p><a:fld type="slidenum"><a:t>7</a:t></a:fld></a:p>'
    table = f"<a:tbl><a:tr><a:tc>{line('A1')}</a:tc><a:tc>{line('B1')}</a:tc></a:tr></a:tbl>"
    slides = {"slide2": line("Welcome") + number, "slide1": table, "slide10": line("Thanks")}
    parts = {
        "ppt/slides/_rels/slide1.xml.rels": (
            '<Relationships xmlns="x"><Relationship Id="r1" Type="y/notesSlide" Target="/ppt/notes.xml"/>'
            '<Relationship Id="r2" Type="y/comments" Target="../comments.xml"/>'
            '<Relationship Id="r3" Type="y/chart" Target="../chart.xml"/>'
            '<Relationship Id="r4" Type="y/comments" Target="http://x.test/" TargetMode="External"/></Relationships>'
        ),
        "ppt/notes.xml": f"<p:notes {SLIDES} {COMPATIBLE}>{line('Say this')}{number}</p:notes>",
        "ppt/comments.xml": f"<p:cmLst {SLIDES}><p:cm><p:text>Nice</p:text></p:cm></p:cmLst>",
        "ppt/chart.xml": (
            f'<c:c xmlns:c="z" {DRAWING}><c:title>{line("Sales")}</c:title>'
            "<c:ser><c:v>North</c:v><c:v>5</c:v></c:ser></c:c>"
        ),
    }
    text = await read("a.pptx", pptx(slides, parts))
    rows = [row for row in text.split("\n") if row]
    assert rows == ["Welcome", "A1\tB1", "Say this", "Nice", "Sales", "North\t5", "Thanks"]


async def test_doc_reads_its_pieces_in_their_order(read: Read) -> None:
    pieces = [
        ("“Smart” quotes\r", True),
        ("漢字 and 😀\r", False),
        ("A1\x07B1\x07\x07A2\x07B2\x07\x07", True),
        ('See \x13 HYPERLINK "http://x.test" \x14the page\x15 and \x13 PAGE \x15more\x0be\x1email\x1f\x02\r', True),
    ]
    assert await read("a.doc", doc(pieces)) == (
        "“Smart” quotes\n漢字 and 😀\nA1\tB1\nA2\tB2\nSee the page and more\ne-mail\n"
    )


async def test_doc_of_word_95(read: Read) -> None:
    assert await read("a.doc", doc_95("“Smart” quotes\rand more\r")) == "“Smart” quotes\nand more\n"
