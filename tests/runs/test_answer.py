"""Pure logic of a streamed answer: links held back, code read out of streamed JSON."""

import json

import pytest

from understudy.runs.answer import candidates
from understudy.runs.scanner import PREFIX, Piece, Scanner
from understudy.runs.tool_calls import CodeArgument, outputs_text


def _links() -> Scanner:
    return Scanner(links=True, marks=False)


def _scan(text: str, size: int) -> list[Piece]:
    scanner = _links()
    found: list[Piece] = []
    for start in range(0, len(text), size):
        found += scanner.feed(text[start : start + size])
    return [*found, *scanner.flush()]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
@pytest.mark.parametrize(
    ("text", "links"),
    [
        ("no link at all, sandboxes and sss", []),
        (f"[a]({PREFIX}a.csv) and [b]({PREFIX}b.csv)", [f"{PREFIX}a.csv", f"{PREFIX}b.csv"]),
        (f"{PREFIX}a.csv", [f"{PREFIX}a.csv"]),
        (f"`{PREFIX}a.csv`\n{PREFIX}b.csv\n", [f"{PREFIX}a.csv", f"{PREFIX}b.csv"]),
        ("it ends in sandbox:/mnt/da", []),
        (f"{PREFIX}", [PREFIX]),
    ],
)
def test_links_are_found_however_they_stream(text: str, links: list[str], size: int) -> None:
    pieces = _scan(text, size)
    assert "".join(piece for piece, _ in pieces) == text
    assert [piece for piece, kind in pieces if kind == "link"] == links


def test_plain_text_is_not_held_back() -> None:
    assert list(_links().feed("sales")) == [("sale", "text")]
    assert list(_links().feed("hello ")) == [("hello ", "text")]


def test_a_link_without_end_is_let_go() -> None:
    assert list(_links().feed(PREFIX + "x" * 600))


def test_candidates_shorten() -> None:
    names = [name for _, name in candidates(f"{PREFIX}my%20file.csv is here.")]
    assert names[0] == "my%20file.csv is here."
    assert "my file.csv" in names
    assert "my%20file.csv" in names


@pytest.mark.parametrize("size", [1, 2, 5, 1000])
@pytest.mark.parametrize(
    "code",
    ["print('hi')", 'x = "\\n"\n\ttab\\', "emoji 😀 and ünïcode \u2028", "", 'print("a\\"b")', "\x00\x1f"],
)
def test_code_streams_out_of_json(code: str, size: int) -> None:
    for raw in (json.dumps({"code": code}), json.dumps({"code": code}, ensure_ascii=False, indent=2)):
        reader = CodeArgument()
        shown = "".join(reader.feed(raw[start : start + size]) for start in range(0, len(raw), size))
        whole, rest = reader.finish()
        assert whole == code
        assert shown + rest == code


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        ("print(1)", "print(1)"),
        ('{"code": "cut o', "cut o"),
        ('{"other": 1, "code": "x"}', "x"),
        ('{"input": "x"}', "x"),
        ('"just a string"', "just a string"),
        ("{}", ""),
        ('{"code": "line\nbreak"}', "line\nbreak"),
    ],
)
def test_what_models_send_instead(raw: str, code: str) -> None:
    reader = CodeArgument()
    shown = reader.feed(raw)
    whole, rest = reader.finish()
    assert (whole, shown + rest) == (code, code)


def test_outputs_as_the_model_reads_them() -> None:
    image = {"type": "image", "image": {"file_id": "file-1"}}
    assert outputs_text([{"type": "logs", "logs": "a\n"}, image, image]) == (
        "a\n\n[image 1 displayed]\n[image 2 displayed]"
    )
    assert outputs_text([]) == "(no output)"
