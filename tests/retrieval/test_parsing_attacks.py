"""Files that were made to break what reads them: each costs itself, nothing else."""

import io
import os
import random
import re
import signal
import sys
import time
import zipfile
import zlib
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import anyio
import pytest
from pypdf import PdfWriter

from understudy_retrieval.errors import FileRefusedError
from understudy_retrieval.parsing import ParseLimits, parse
from understudy_retrieval.parsing.types import SUPPORTED_SUFFIXES

from .documents import WORD, assembled, compound, doc, docx, line, paragraph, pdf, pptx, relations, zipped

pytestmark = pytest.mark.anyio

Refused = Callable[..., Awaitable[str]]

UNREADABLE = "The file could not be parsed."
TOO_LARGE = "The file could not be parsed because it is too large."
MAIN = relations(("officeDocument", "word/document.xml"))
USUAL = ParseLimits()
linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


def children(parent: int) -> set[int]:
    """The parsers that a process has running, or has not reaped."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[1]) == parent and "boot.py" in (stat.parent / "cmdline").read_text():
                found.add(int(stat.parent.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


async def until(holds: Callable[[], bool]) -> None:
    with anyio.fail_after(10):
        while not holds():  # noqa: ASYNC110 - another process makes it so
            await anyio.sleep(0.002)


async def a_child(parent: int) -> int:
    await until(lambda: bool(children(parent)))
    return children(parent).pop()


async def refusal(path: Path, filename: str, limits: ParseLimits = USUAL) -> str | None:
    """Why a file is refused; None where it is not."""
    try:
        assert (await parse(path, filename, limits)).strip()
    except FileRefusedError as error:
        return error.message if error.code == "invalid_file" else error.code
    return None


def alive(child: int) -> bool:
    stat = Path(f"/proc/{child}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


def set_up(child: int) -> bool:
    """Whether it has set its limits, the last thing that it does before it looks at the file."""
    return bool(re.search(r"Max file size +0 ", Path(f"/proc/{child}/limits").read_text()))


@pytest.fixture
def refused(tmp_path: Path) -> Refused:
    """Why a file of this name and content was refused; it must be, and soon."""

    async def refused(filename: str, content: bytes, limits: ParseLimits = USUAL) -> str:
        path = tmp_path / "file-1"
        path.write_bytes(content)
        started = time.monotonic()
        message = await refusal(path, filename, limits)
        assert time.monotonic() - started < 10
        assert message is not None
        return message

    return refused


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    yield
    if sys.platform == "linux":
        assert children(os.getpid()) == set()


@pytest.mark.parametrize("suffix", sorted(SUPPORTED_SUFFIXES))
async def test_random_bytes(refused: Refused, suffix: str) -> None:
    assert await refused(f"a{suffix}", random.Random(suffix).randbytes(20_000)) == UNREADABLE


@pytest.mark.parametrize("suffix", [".txt", ".html", ".pdf", ".docx", ".pptx", ".doc"])
@pytest.mark.parametrize("content", [b"", b" \n\t\r\n\0"], ids=["empty", "space"])
async def test_no_text(refused: Refused, suffix: str, content: bytes) -> None:
    assert await refused(f"a{suffix}", content) == UNREADABLE


WHOLE = {
    ".pdf": pdf("A page"),
    ".docx": docx(paragraph("A paragraph")),
    ".pptx": pptx({"slide1": line("A slide")}),
    ".doc": doc([("A paragraph\r" * 99, False)]),
}


@pytest.mark.parametrize("suffix", WHOLE)
async def test_not_what_its_name_says(refused: Refused, suffix: str) -> None:
    for other in [content for name, content in WHOLE.items() if name != suffix] + [b"Plain text."]:
        assert await refused(f"a{suffix}", other) == UNREADABLE
    for text in (".txt", ".html"):
        assert await refused(f"a{text}", WHOLE[suffix]) == UNREADABLE


@pytest.mark.parametrize("suffix", WHOLE)
async def test_truncated_and_damaged(tmp_path: Path, suffix: str) -> None:
    """Text or a refusal, never anything else."""
    whole, damage = WHOLE[suffix], random.Random(suffix)
    path = tmp_path / "file-1"
    for _ in range(6):
        broken = bytearray(whole[: damage.randrange(len(whole) // 2, len(whole))])
        for _ in range(5):
            broken[damage.randrange(len(broken))] = damage.randrange(256)
        path.write_bytes(broken)
        assert await refusal(path, f"a{suffix}") in (None, UNREADABLE)


def encrypted(content: bytes) -> bytes:
    writer = PdfWriter(clone_from=io.BytesIO(content))
    writer.encrypt("secret", algorithm="RC4-128")
    buffer = io.BytesIO()
    writer.write(buffer)
    return buffer.getvalue()


IMAGE = pdf(
    "",
    objects=["<< /Type /XObject /Subtype /Image /Width 1 /Height 1 /ColorSpace /DeviceGray /BitsPerComponent 8 >>"],
    page="/X 4 0 R",
)
LOOP = assembled(["<< /Type /Catalog /Pages 2 0 R >>", "<< /Type /Pages /Kids [2 0 R 2 0 R] /Count 9 >>"])
DEEP_ARRAY = assembled(["<< /Type /Catalog /Pages 2 0 R >>", "[" * 100_000 + "]" * 100_000])
COUNTLESS = assembled(["<< /Type /Catalog /Pages 2 0 R >>", "<< /Type /Pages /Kids [] /Count 2000000000 >>"])


@pytest.mark.parametrize(
    "content",
    [encrypted(pdf("Secret")), IMAGE, LOOP, DEEP_ARRAY, COUNTLESS, pdf()],
    ids=["encrypted", "image", "loop", "deep", "countless", "no pages"],
)
async def test_pdf(refused: Refused, content: bytes) -> None:
    assert await refused("a.pdf", content) == UNREADABLE


@linux
async def test_a_pdf_that_unpacks_to_a_gigabyte(refused: Refused) -> None:
    packer = zlib.compressobj(1)
    stream = b"".join(packer.compress(bytes(1_000_000)) for _ in range(1000)) + packer.flush()
    kids = ["<< /Type /Pages /Kids [3 0 R] /Count 1 >>", "<< /Type /Page /Parent 2 0 R /Contents 4 0 R >>"]
    content = f"<< /Length {len(stream)} /Filter /FlateDecode >>\nstream\n{stream.decode('latin-1')}\nendstream"
    bomb = assembled(["<< /Type /Catalog /Pages 2 0 R >>", *kids, content])
    assert await refused("a.pdf", bomb, ParseLimits(memory=200_000_000)) in (UNREADABLE, TOO_LARGE)


def xml(doctype: str, text: str, encoding: str = "utf-8") -> bytes:
    prolog = f'<?xml version="1.0" encoding="{encoding}"?>{doctype}'
    document = f"{prolog}<w:document {WORD}><w:body>{paragraph(text)}</w:body></w:document>"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("_rels/.rels", MAIN)
        archive.writestr("word/document.xml", document.encode(encoding))
    return buffer.getvalue()


LAUGHS = "".join(f'<!ENTITY l{level} "{f"&l{level - 1};" * 10}">' for level in range(1, 10))
DOCTYPES = {
    "laughs": (f'<!DOCTYPE x [<!ENTITY l0 "lol">{LAUGHS}]>', "&l9;"),
    "quadratic": (f'<!DOCTYPE x [<!ENTITY a "{"a" * 50_000}">]>', "&a;" * 50_000),
    "file": ('<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>', "user &e;"),
    "address": ('<!DOCTYPE x SYSTEM "http://127.0.0.1:9/x.dtd">', "text"),
    "parameter": ('<!DOCTYPE x [<!ENTITY % e SYSTEM "file:///etc/passwd"> %e;]>', "text"),
}


@pytest.mark.parametrize("name", DOCTYPES)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
async def test_entities(refused: Refused, name: str, encoding: str) -> None:
    assert await refused("a.docx", xml(*DOCTYPES[name], encoding)) == UNREADABLE


async def test_xml_nested_deeply(tmp_path: Path) -> None:
    nested = "<w:sdt>" * 200_000 + paragraph("At the bottom") + "</w:sdt>" * 200_000
    tables = "<w:tbl><w:tr><w:tc>" * 50_000 + paragraph(" of tables") + "</w:tc></w:tr></w:tbl>" * 50_000
    (tmp_path / "file-1").write_bytes(docx(nested + tables))
    assert (await parse(tmp_path / "file-1", "a.docx")).split() == ["At", "the", "bottom", "of", "tables"]


@pytest.mark.parametrize("part", ["word/document.xml", "word/media/image1.bin"])
async def test_a_zip_bomb(refused: Refused, part: str) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("_rels/.rels", MAIN)
        with archive.open(part, "w", force_zip64=True) as entry:
            for _ in range(3):
                entry.write(b" " * 4_000_000)
    # 12 MB stand for the 3 GB that the sizes could as well tell.
    limits = ParseLimits(zip_bytes=10_000_000)
    assert await refused("a.docx", buffer.getvalue(), limits) == TOO_LARGE


async def test_a_zip_that_lies_about_its_sizes(refused: Refused) -> None:
    honest = docx(paragraph("x" * 5_000_000))
    size = (5_000_000).to_bytes(4, "little")[2:]
    assert await refused("a.docx", honest.replace(size, b"\0\0"), ParseLimits(zip_bytes=1_000_000)) in (
        UNREADABLE,
        TOO_LARGE,
    )


@pytest.mark.parametrize("count", [10_001, 70_000])
async def test_many_entries(refused: Refused, count: int) -> None:
    assert await refused("a.docx", zipped({f"e{number}": "" for number in range(count)})) == TOO_LARGE


async def test_a_zip_in_itself(refused: Refused) -> None:
    inner = docx(paragraph("inner"))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("_rels/.rels", MAIN)
        archive.writestr("word/document.xml", inner)
    assert await refused("a.docx", buffer.getvalue()) == UNREADABLE


async def test_parts_that_lead_out_of_the_zip(refused: Refused) -> None:
    out = relations(("officeDocument", "../../../../etc/passwd"))
    assert await refused("a.docx", zipped({"_rels/.rels": out})) == UNREADABLE


async def test_slides_that_are_one_another(tmp_path: Path) -> None:
    slides = {"slide1": line("Once")}
    circle = {"ppt/slides/_rels/slide1.xml.rels": relations(("notesSlide", "slide1.xml"))}
    (tmp_path / "file-1").write_bytes(pptx(slides, circle))
    assert (await parse(tmp_path / "file-1", "a.pptx")).split() == ["Once", "Once"]


async def test_doc(refused: Refused) -> None:
    whole = doc([("text\r", True)])
    assert await refused("a.doc", doc([("text\r", True)], flags=0x0300)) == UNREADABLE, "encrypted"
    assert await refused("a.doc", compound({"Workbook": b"x"})) == UNREADABLE, "a spreadsheet"
    assert await refused("a.doc", doc([("x" * 5000, True)]), ParseLimits(text=1000)) == TOO_LARGE
    looped = whole[:516] + b"\0\0\0\0" * 127 + whole[1024:]
    assert await refused("a.doc", looped) == UNREADABLE, "sectors that lead in a circle"


async def test_html_nested_deeply(tmp_path: Path) -> None:
    (tmp_path / "file-1").write_text("<div>" * 100_000 + "At the bottom")
    assert (await parse(tmp_path / "file-1", "a.html")).strip() == "At the bottom"


@pytest.mark.parametrize("content", [b"<a " * 300_000, b"<!--" * 300_000, b"&#" * 300_000, b"<![" * 300_000])
async def test_html_that_never_closes(tmp_path: Path, content: bytes) -> None:
    """However slowly it is read: the child is stopped in time."""
    (tmp_path / "file-1").write_bytes(content)
    started = time.monotonic()
    assert await refusal(tmp_path / "file-1", "a.html", ParseLimits(cpu=1)) in (None, UNREADABLE)
    assert time.monotonic() - started < 5


async def test_a_text_file_of_200_mb(tmp_path: Path) -> None:
    path = tmp_path / "file-1"
    with path.open("wb") as file:
        for _ in range(200):
            file.write(b"All work and no play. " * 45_455)
    started = time.monotonic()
    assert await refusal(path, "a.txt") == TOO_LARGE
    assert await refusal(path, "a.txt", ParseLimits(file=1)) == TOO_LARGE
    assert time.monotonic() - started < 1


@pytest.mark.parametrize(
    ("filename", "content"),
    [
        ("a.txt", b"word " * 3000),
        ("a.txt", b"\xff\xfe" + "€".encode("utf-16-le") * 9000),
        ("a.html", b"&star;" * 4500),
        ("a.docx", docx(paragraph("word " * 3000) * 9)),
        ("a.pptx", pptx({f"slide{number}": line("word " * 900) for number in range(4)})),
        ("a.pdf", pdf(*["word " * 90] * 40)),
    ],
)
async def test_more_text_than_is_taken(refused: Refused, filename: str, content: bytes) -> None:
    assert await refused(filename, content, ParseLimits(text=10_000)) == TOO_LARGE


@linux
async def test_too_little_memory(refused: Refused) -> None:
    assert await refused("a.html", b"<a " + b"x" * 15_000_000, ParseLimits(memory=60_000_000)) == TOO_LARGE


@linux
async def test_too_much_processor_time(refused: Refused) -> None:
    assert await refused("a.html", b"<p>x" * 10_000_000, ParseLimits(cpu=1)) == UNREADABLE


@pytest.fixture
def slow_file(tmp_path: Path) -> Path:
    """A file that takes about a second."""
    path = tmp_path / "file-2"
    path.write_bytes(b"<p>x" * 4_000_000)
    return path


@linux
@pytest.mark.parametrize(("sent", "limits"), [(signal.SIGKILL, ParseLimits()), (signal.SIGSTOP, ParseLimits(wall=0.5))])
async def test_a_child_that_dies_or_hangs(slow_file: Path, sent: signal.Signals, limits: ParseLimits) -> None:
    async with anyio.create_task_group() as tasks:

        async def interfere() -> None:
            os.kill(await a_child(os.getpid()), sent)

        tasks.start_soon(interfere)
        assert await refusal(slow_file, "a.html", limits) == UNREADABLE


@linux
async def test_cancelled(slow_file: Path) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(parse, slow_file, "a.html")
        await a_child(os.getpid())
        tasks.cancel_scope.cancel()
    assert children(os.getpid()) == set()


@linux
async def test_the_child_dies_with_the_server(slow_file: Path) -> None:
    program = (
        "import anyio, sys; from pathlib import Path; from understudy_retrieval.parsing import parse\n"
        "anyio.run(parse, Path(sys.argv[1]), 'a.html')"
    )
    async with await anyio.open_process([sys.executable, "-c", program, str(slow_file)]) as server:
        child = await a_child(server.pid)
        await until(lambda: set_up(child))
        server.kill()
    started = time.monotonic()
    await until(lambda: not alive(child))
    assert time.monotonic() - started < 0.5


@linux
async def test_the_child_inherits_nothing(slow_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(parse, slow_file, "a.html")
        child = Path(f"/proc/{await a_child(os.getpid())}")
        await until(lambda: set_up(int(child.name)))
        assert b"sk-secret" not in (child / "environ").read_bytes()
        opened = {os.readlink(link) for link in (child / "fd").iterdir()}
        assert {name for name in opened if not name.startswith("pipe:")} <= {"/dev/null", str(slow_file)}
        tasks.cancel_scope.cancel()


async def test_the_loop_goes_on(tmp_path: Path) -> None:
    """While 46 MB of text come in, others are served."""
    path = tmp_path / "file-1"
    path.write_bytes("All work and no pläy. ".encode() * 2_000_000)
    gaps = [0.0]

    async def tick() -> None:
        while True:
            before = time.monotonic()
            await anyio.sleep(0.002)
            gaps.append(time.monotonic() - before)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(tick)
        text = await parse(path, "a.txt")
        tasks.cancel_scope.cancel()
    assert len(text) == 44_000_000
    assert max(gaps) < 0.25


async def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await parse(tmp_path / "gone", "a.txt")
