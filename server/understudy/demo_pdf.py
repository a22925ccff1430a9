"""The document of `understudy demo`: a PDF of three pages, written by hand, as no PDF library is needed for more."""

PAGES = (
    (
        "Northwind Bicycles: Report on the Fourth Quarter",
        "Northwind Bicycles sold 48,200 bicycles in the fourth quarter, nine percent more",
        "than a year before. Revenue rose to 61.4 million euros. Electric models made up",
        "more than half of it for the first time. The new plant in Porto opened in October",
        "and reached its planned output of 400 frames a day in the first week of December.",
        "",
        "Operating profit was 5.1 million euros after 4.7 million in the third quarter.",
        "The board proposes a dividend of 0.35 euros a share, as the year before.",
    ),
    (
        "Risk Factors",
        "Three risk factors stood out in the fourth quarter. First, supply chain delays:",
        "gear hubs come from two suppliers in one region, and deliveries ran five weeks late.",
        "Second, exchange rates: two fifths of the parts are paid in dollars, and only half",
        "of that is hedged. Third, new battery transport rules, which apply from July and",
        "may add 18 euros to the cost of each electric bicycle.",
        "",
        "A second supplier of gear hubs has been approved and delivers from April.",
    ),
    (
        "Outlook",
        "For the coming year Northwind expects to sell between 190,000 and 200,000 bicycles.",
        "A leasing offer for commuters starts in May in three cities: Lyon, Ghent and Malmo.",
        "Investment will stay at 9 million euros, most of it for a second paint line in Porto.",
        "",
        "The annual meeting takes place on 14 June.",
    ),
)


def pdf(pages: tuple[tuple[str, ...], ...] = PAGES) -> bytes:
    """A PDF with these pages, each a heading and lines of text in ASCII."""
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(len(pages)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    ]
    for number, lines in enumerate(pages):
        content = _content(lines)
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << /Font << /F1 3 0 R >> >> "
            f"/Contents {5 + 2 * number} 0 R >>".encode()
        )
        objects.append(b"<< /Length %d >>\nstream\n%b\nendstream" % (len(content), content))
    return _file(objects)


def _content(lines: tuple[str, ...]) -> bytes:
    heading, *text = (line.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)") for line in lines)
    shown = "".join(f"({line}) Tj T*\n" for line in text)
    return f"BT /F1 16 Tf 72 770 Td ({heading}) Tj /F1 11 Tf 16 TL 0 -32 Td\n{shown}ET".encode("ascii")


def _file(objects: list[bytes]) -> bytes:
    """The objects, numbered from 1 in their order, with the table of where they begin."""
    written, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, start=1):
        places.append(len(written))
        written += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    size = len(objects) + 1
    end = b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (size, len(written))
    return written + b"xref\n0 %d\n0000000000 65535 f \n%b%b" % (size, table, end)
