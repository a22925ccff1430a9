"""Pure logic of citations: marks told, marks found in streamed text, annotations made of them."""

import asyncio
import time
from typing import Any

import pytest

from understudy.runs import citations
from understudy.runs.answer import Answer
from understudy.runs.scanner import PREFIX, Piece, Scanner
from understudy.runs.tool_calls import search_queries
from understudy.schemas.base import JSON

A, B = "【0:0†a.txt】", "【1:12†my report [1].pdf】"
SOURCES = {(0, 0): "file-a", (1, 12): "file-b"}


def _scan(text: str, size: int) -> list[Piece]:
    scanner = Scanner(links=True, marks=True)
    found: list[Piece] = []
    for start in range(0, len(text), size):
        found += scanner.feed(text[start : start + size])
    return [*found, *scanner.flush()]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 200])
@pytest.mark.parametrize(
    ("text", "special"),
    [
        ("no marks, but [brackets], [1], [1:2], a【b】 and lists[0]", []),
        (f"One.{A} Two.{B}", [A, B]),
        (f"{A}{A}", [A, A]),
        ("ASCII [0:0†source] and 【0:0】", ["[0:0†source]", "【0:0】"]),
        (f"[the file]({PREFIX}x.csv){A}, {PREFIX}y.csv {A}", [f"{PREFIX}x.csv", A, f"{PREFIX}y.csv ", A]),
        ("it ends in 【0:0†a.t", []),
        (f"one unfinished 【0:0†a.txt and then {B}", [B]),
        ("one unfinished [0:0†a.txt and [0:1†b.txt].", ["[0:1†b.txt]"]),
        ("【【0:0†a.txt】", [A]),
        ("[0:0†line\nbreak] [12345:0†a] [0:0:†a]", []),
        (f"ünïcode 😀{A}日本語{B}。", [A, B]),
        ("[" * 50 + "【" * 50, []),
    ],
)
def test_marks_are_found_however_they_stream(text: str, special: list[str], size: int) -> None:
    pieces = _scan(text, size)
    assert "".join(piece for piece, _ in pieces) == text
    assert [piece for piece, kind in pieces if kind != "text"] == special


def test_only_what_may_become_a_mark_is_held_back() -> None:
    scanner = Scanner(links=False, marks=True)
    shown = [
        [piece for piece, _ in scanner.feed(text)] for text in ("see [", "link](x) [1", "] [1:2", "†a", "】b]", "s")
    ]
    assert shown == [["see "], ["[link](x) "], ["[1] "], [], ["[1:2†a】b]"], ["s"]]
    assert list(Scanner(links=False, marks=False).feed("s [1:")) == [("s [1:", "text")]


def test_a_mark_without_end_is_let_go() -> None:
    assert list(Scanner(links=True, marks=True).feed("【0:0†" + "x" * 500))


def test_scanning_is_linear() -> None:
    scanner = Scanner(links=True, marks=True)
    began = time.process_time()
    for _ in range(20_000):
        list(scanner.feed("[1:2†s【"))
    assert time.process_time() - began < 5


def _answer(*pieces: str, sources: dict[tuple[int, int], str] | None = None) -> tuple[list[JSON], JSON, list[JSON]]:
    """The deltas, the stored text and the attachments of an answer that streams in as `pieces`."""

    async def resolve(name: str) -> str | None:
        return "file-x" if name == "x.csv" else None

    async def stream() -> tuple[list[JSON], JSON, list[JSON]]:
        answer = Answer([], resolve, SOURCES if sources is None else sources)
        deltas = [delta for piece in pieces for delta in await answer.add_text(piece)] + await answer.finish()
        (block,) = answer.blocks()
        return deltas, block["text"], answer.attachments()

    return asyncio.run(stream())


def test_text_and_annotation_come_in_one_delta() -> None:
    deltas, stored, attachments = _answer("Ünder 😀 it", " says.【0:", "0†a", ".txt】 Bye.")
    assert [delta["text"]["value"] for delta in deltas] == ["Ünder 😀 it", " says.", A, " Bye."]
    annotation: dict[str, Any] = {"type": "file_citation", "text": A, "start_index": 16, "end_index": 27}
    assert deltas[2]["text"]["annotations"] == [
        {"index": 0, **annotation, "file_citation": {"file_id": "file-a", "quote": ""}}
    ]
    assert stored["annotations"] == [annotation | {"file_citation": {"file_id": "file-a"}}]
    assert stored["value"][16:27] == A
    assert attachments == []


def test_marks_that_point_nowhere_stay_text() -> None:
    deltas, stored, _ = _answer(f"{A} 【0:1†a.txt】 【7:0†a.txt】")
    assert stored["value"] == f"{A} 【0:1†a.txt】 【7:0†a.txt】"
    assert [annotation["text"] for annotation in stored["annotations"]] == [A]
    assert "annotations" in deltas[0]["text"]
    _, stored, _ = _answer(A, sources={})
    assert stored["annotations"] == []


def test_the_same_passage_twice_and_a_link() -> None:
    _, stored, attachments = _answer(f"One{A}, two{A}: [x]({PREFIX}x.csv), [1:12†source].")
    kinds = [(one["type"], one["text"]) for one in stored["annotations"]]
    assert kinds == [
        ("file_citation", A),
        ("file_citation", A),
        ("file_path", f"{PREFIX}x.csv"),
        ("file_citation", "[1:12†source]"),
    ]
    for annotation in stored["annotations"]:
        assert stored["value"][annotation["start_index"] : annotation["end_index"]] == annotation["text"]
    assert attachments == [{"file_id": "file-x", "tools": [{"type": "code_interpreter"}]}]


def _result(name: str, text: str) -> JSON:
    return {"file_id": f"file-{name}", "file_name": name, "score": 0.5, "content": [{"type": "text", "text": text}]}


def test_what_the_model_is_told() -> None:
    search: JSON = {
        "queries": ["q"],
        "number": 3,
        "results": [_result("a.txt", "one\ntwo"), _result("b】\n【.md", "x")],
    }
    told = citations.told(search)
    assert "【3:0†a.txt】\none\ntwo\n\n【3:1†b .md】\nx" in told
    assert citations.sources(search) == {(3, 0): "file-a.txt", (3, 1): "file-b】\n【.md"}
    assert citations.told(search | {"results": []}) == citations.NOTHING_FOUND
    assert citations.told(search | {"results": [], "queries": []}) == citations.NO_QUERY
    long = citations.mark(1, 2, "n" * 300 + ".txt")
    assert [piece for piece, kind in _scan(long, 5) if kind == "mark"] == [long]


def test_numbers_start_above_those_that_the_thread_shows() -> None:
    assert citations.first_number([]) == 0
    parts = [{"type": "text", "text": f"see {B}"}, {"type": "image_url", "image_url": {"url": "x"}}]
    assert citations.first_number([{"content": "see [7:0†source] and [9:0]"}]) == 8
    assert citations.first_number([{"content": f"see {A}"}, {"content": parts}, {"content": "【99999:0†x】"}]) == 2


@pytest.mark.parametrize(
    ("arguments", "queries"),
    [
        ('{"query": "who?"}', ["who?"]),
        ('"who?"', ["who?"]),
        ("who?", ["who?"]),
        ('{"queries": ["who?", "where?", "who?"]}', ["who?", "where?"]),
        ('{"query": ["who?", 5, null, ""]}', ["who?", "5"]),
        ('["who?"]', ["who?"]),
        ('{"search_query": "who?"}', ["who?"]),
        ('{"query": "", "queries": ["who?"]}', ["who?"]),
        ('{"query": "line\nbreak \\ud800"}', ["line\nbreak \ufffd"]),
        ('{"query": {"text": "who?"}}', ["who?"]),
        ("{}", []),
        ("", []),
        ("null", []),
        ("[" * 100_000, ["[" * 4096]),
    ],
)
def test_queries_as_models_send_them(arguments: str, queries: list[str]) -> None:
    assert search_queries(arguments) == queries


def test_not_too_many_queries() -> None:
    assert len(search_queries(str(list(range(100))))) == 8
