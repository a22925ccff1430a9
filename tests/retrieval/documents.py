"""Documents made by hand, so that a test can say what is in them and what is wrong with them."""

import io
import struct
import zipfile
from collections.abc import Iterable, Mapping

WORD = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
DRAWING = 'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"'
SLIDES = (
    f'{DRAWING} xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main" '
    'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'
)
COMPATIBLE = 'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"'
RELATION = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
SECTOR = 512


def pdf(*pages: str, objects: Iterable[str] = (), page: str = "") -> bytes:
    """A PDF with a line of text a page; `objects` are numbered from 4, `page` is added to each page's dictionary."""
    bodies = ["<< /Type /Catalog /Pages 2 0 R /AcroForm << /Fields [4 0 R] >> >>" if objects else "", "", ""]
    bodies[0] = bodies[0] or "<< /Type /Catalog /Pages 2 0 R >>"
    bodies[2] = "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"
    bodies += objects
    kids = []
    for text in pages:
        content = f"BT /F 12 Tf 72 720 Td ({text}) Tj ET" if text else ""
        bodies.append(f"<< /Length {len(content)} >>\nstream\n{content}\nendstream")
        kids.append(f"{len(bodies) + 1} 0 R")
        bodies.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {len(bodies)} 0 R "
            f"/Resources << /Font << /F 3 0 R >> >> {page} >>"
        )
    bodies[1] = f"<< /Type /Pages /Kids [{' '.join(kids)}] /Count {len(kids)} >>"
    return assembled(bodies)


def assembled(bodies: Iterable[str]) -> bytes:
    """A PDF of these objects, the first its catalogue."""
    out, places = b"%PDF-1.4\n", []
    for number, body in enumerate(bodies, 1):
        places.append(len(out))
        out += f"{number} 0 obj\n{body}\nendobj\n".encode("latin-1")
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    size = len(places) + 1
    trailer = f"xref\n0 {size}\n0000000000 65535 f \n{table}trailer\n<< /Size {size} /Root 1 0 R >>\n"
    return out + f"{trailer}startxref\n{len(out)}\n%%EOF\n".encode()


def zipped(parts: Mapping[str, str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
    return buffer.getvalue()


def relations(*targets: tuple[str, str]) -> str:
    """Relations r1, r2, … to these parts, each given as kind and target."""
    rows = [
        f'<Relationship Id="r{number}" Type="{RELATION}/{kind}" Target="{target}"/>'
        for number, (kind, target) in enumerate(targets, 1)
    ]
    return f'<Relationships xmlns="{RELATION}">{"".join(rows)}</Relationships>'


def docx(body: str, parts: Mapping[str, str] | None = None, related: Iterable[tuple[str, str]] = ()) -> bytes:
    """A Word document with this XML in its body."""
    return zipped(
        {
            "_rels/.rels": relations(("officeDocument", "word/document.xml")),
            "word/document.xml": f"<w:document {WORD} {COMPATIBLE}><w:body>{body}</w:body></w:document>",
            "word/_rels/document.xml.rels": relations(*related),
            **(parts or {}),
        }
    )


def paragraph(text: str) -> str:
    return f"<w:p><w:pPr><w:tabs><w:tab/></w:tabs></w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>"


def pptx(slides: Mapping[str, str], parts: Mapping[str, str] | None = None) -> bytes:
    """A presentation of these slides, by name and in this order, whatever their names say."""
    order = "".join(f'<p:sldId id="{256 + number}" r:id="r{number}"/>' for number in range(1, len(slides) + 1))
    return zipped(
        {
            "_rels/.rels": relations(("officeDocument", "ppt/presentation.xml")),
            "ppt/presentation.xml": f"<p:presentation {SLIDES}><p:sldIdLst>{order}</p:sldIdLst></p:presentation>",
            "ppt/_rels/presentation.xml.rels": relations(*[("slide", f"slides/{name}.xml") for name in slides]),
            **{f"ppt/slides/{name}.xml": f"<p:sld {SLIDES}>{content}</p:sld>" for name, content in slides.items()},
            **(parts or {}),
        }
    )


def line(text: str) -> str:
    return f"<a:p><a:r><a:rPr/><a:t>{text}</a:t></a:r></a:p>"


def doc(pieces: Iterable[tuple[str, bool]], *, flags: int = 0x0200) -> bytes:
    """A Word 97 document of these pieces of text, each with whether it is stored in one byte a character."""
    text, positions, descriptors = b"", [0], b""
    start = 2048
    for piece, compressed in pieces:
        place = start + len(text)
        descriptors += struct.pack("<HIH", 0, place * 2 | 0x4000_0000 if compressed else place, 0)
        encoded = piece.encode("cp1252" if compressed else "utf-16-le")
        text += encoded
        positions.append(positions[-1] + len(encoded) // (1 if compressed else 2))
    table = struct.pack(f"<{len(positions)}I", *positions) + descriptors
    # A list of properties comes first, as it does after edits.
    clx = b"\x01\x04\x00abcd" + b"\x02" + struct.pack("<I", len(table)) + table
    base = struct.pack("<HHHHHH", 0xA5EC, 0xC1, 0, 0x409, 0, flags).ljust(32, b"\0")
    numbers = struct.pack("<H", 14) + bytes(28) + struct.pack("<H", 22) + bytes(88)
    places = struct.pack("<H", 93) + bytes(33 * 8) + struct.pack("<II", 16, len(clx)) + bytes(59 * 8)
    main = (base + numbers + places).ljust(start, b"\0") + text
    return compound({"WordDocument": main, "1Table": b"\0" * 16 + clx})


def doc_95(text: str) -> bytes:
    """A Word 95 document, which has no list of pieces."""
    base = struct.pack("<HH", 0xA5DC, 0x68).ljust(24, b"\0") + struct.pack("<II", 768, 768 + len(text))
    return compound({"WordDocument": base.ljust(768, b"\0") + text.encode("cp1252")})


def compound(streams: Mapping[str, bytes]) -> bytes:
    """An OLE file: its allocation table in sector 0, its directory in sector 1, then the streams."""
    end, no = 0xFFFF_FFFE, 0xFFFF_FFFF
    table, body = [0xFFFF_FFFD, end], b""
    names = sorted(streams, key=lambda name: (len(name), name.upper()))
    entries = [_entry("Root Entry", 5, child=1, start=end, size=0)]
    for number, name in enumerate(names, 1):
        # Shorter streams would live in another stream, in sectors of their own.
        content = streams[name].ljust(4096, b"\0")
        sectors = -(-len(content) // SECTOR)
        first = len(table)
        table += [*range(first + 1, first + sectors), end]
        body += content.ljust(sectors * SECTOR, b"\0")
        right = number + 1 if number < len(names) else no
        entries.append(_entry(name, 2, right=right, start=first, size=len(content)))
    assert len(table) <= SECTOR // 4
    assert len(entries) <= 4
    header = bytes.fromhex("d0cf11e0a1b11ae1") + bytes(16) + struct.pack("<HHHHH", 0x3E, 3, 0xFFFE, 9, 6) + bytes(6)
    header += struct.pack("<9I", 0, 1, 1, 0, 4096, end, 0, end, 0) + struct.pack("<I", 0) + b"\xff" * 4 * 108
    fat = struct.pack(f"<{len(table)}I", *table).ljust(SECTOR, b"\xff")
    return header + fat + b"".join(entries).ljust(SECTOR, b"\0") + body


def _entry(name: str, kind: int, *, right: int = 0xFFFF_FFFF, child: int = 0xFFFF_FFFF, start: int, size: int) -> bytes:
    encoded = (name + "\0").encode("utf-16-le")
    links = struct.pack("<III", 0xFFFF_FFFF, right, child)
    return (
        encoded.ljust(64, b"\0")
        + struct.pack("<HBB", len(encoded), kind, 1)
        + links
        + bytes(36)
        + struct.pack("<IQ", start, size)
    )
