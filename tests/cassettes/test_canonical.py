"""What makes two requests equal, and that text is rewritten wherever it stands; on drawn values."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.cassettes.answer import Answer
from understudy.cassettes.cassette import Cassette, Entry
from understudy.cassettes.model_request import ModelRequest, body_of, canonical
from understudy.cassettes.moments import timeless
from understudy.cassettes.redaction import Redaction
from understudy.cassettes.rewriting import in_events, in_json
from understudy.ids import new_id

JSON = dict[str, Any]
NOW = datetime(2026, 11, 21, 19, 20, 5, tzinfo=UTC).timestamp()
KINDS = ("thread", "msg", "run", "asst", "step", "call", "file", "vs", "vsfb")

_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
_pieces = st.lists(st.one_of(_texts, st.integers(0, 5).map("{{{}}}".format)), max_size=6).map(" ".join)
_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**53), 2**53), st.floats(allow_nan=False, width=32), _pieces),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(_texts, inner, max_size=4)),
    max_leaves=15,
)


def _filled(value: Any, ids: list[str]) -> Any:
    """The value with ids in the place of {0} … {5}."""
    fills = [(re.compile(re.escape(f"{{{number}}}")), lambda _, one=one: one) for number, one in enumerate(ids)]
    return in_json(value, fills)


@given(_values)
def test_ids_of_one_session_make_no_difference(value: Any) -> None:
    sessions = [[new_id(kind) for kind in KINDS[:6]] for _ in range(2)]
    first, second = (canonical("post", "x", _filled(value, ids), [])[0] for ids in sessions)
    assert first == second
    assert first.key == second.key
    assert canonical("POST", "x", first.body, [])[0] == first


@given(_values, _values)
def test_other_requests_have_other_keys(one: Any, other: Any) -> None:
    keys = {canonical("POST", "x", value, [])[0].key for value in (one, other)}
    assert (len(keys) == 1) == (_plain(one) == _plain(other))


def _plain(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


@pytest.mark.parametrize("kind", KINDS)
def test_all_kinds_of_ids(kind: str) -> None:
    one, other = new_id(kind), new_id(kind)
    body = [f"/mnt/data/{one}.png, {other}", {"again": other}]
    request, names = canonical("POST", f"x?after={new_id('part')}", body, [])
    assert request.body == [f"/mnt/data/<{kind}-1>.png, <{kind}-2>", {"again": f"<{kind}-2>"}]
    assert request.path == "x?after=<part-1>"
    answer = Answer(0.0, 200, body=f"<{kind}-2> <file-9>").restored([names.restored()])
    assert answer.body == f"{other} <file-9>"


def test_ids_of_answers() -> None:
    """Those that were asked with are named, new tool calls too; replayed, the calls get fresh ones."""
    known, made_up, call = new_id("file"), new_id("file"), new_id("call")
    _, names = canonical("POST", "x", [known], [])
    kept = Answer(0.0, 200, body=f"{known} {made_up} {call} {call}").rewritten([names.in_answers()])
    assert kept.body == f"<file-1> {made_up} <call-1> <call-1>"
    _, others = canonical("POST", "x", [made_up], [])
    first, second, *fresh = str(kept.restored([others.restored()]).body).split()
    assert (first, second, fresh[0]) == (made_up, made_up, fresh[1])
    assert fresh[0].startswith("call_")
    assert fresh[0] != call


def test_chosen_ids_and_look_alikes_stay() -> None:
    text = "asst_weather file-configuration-manager profile-aB3aB3aB3aB3aB3aB3aB3 call_me thread_local 0xdeadbeef00"
    assert canonical("POST", "x", text, [])[0].body == text


def test_what_python_prints_of_objects() -> None:
    one, other = (
        "[<Line2D at 0x7f3c2c0d1d50>] /tmp/ipykernel_12/345.py:1",
        "[<Line2D at 0x7fffff0d1d50>] /tmp/ipykernel_9/345.py:1",
    )
    assert canonical("POST", "x", one, [])[0].key == canonical("POST", "x", other, [])[0].key


def test_tool_calls_of_any_form_are_ids() -> None:
    def request(call: str) -> ModelRequest:
        asked = {"role": "assistant", "tool_calls": [{"id": call, "function": {"name": "f", "arguments": "{}"}}]}
        return canonical(
            "POST", "x", {"messages": [asked, {"role": "tool", "tool_call_id": call, "content": "1"}]}, []
        )[0]

    assert request("toolu_01").key == request("9").key
    assert request("9").body["messages"][1]["tool_call_id"] == "<call-1>"


def test_long_attachments_are_digests() -> None:
    body = {"url": "data:image/png;base64," + "QUJD" * 500}
    shown = canonical("POST", "x", body, [])[0].body["url"]
    assert shown.startswith("data:image/png;base64,<2000 characters, sha256 ")
    assert canonical("POST", "x", {"url": shown}, [])[0].body["url"] == shown


def test_forms_differ_by_their_content_alone() -> None:
    def digest(boundary: str, content: str) -> Any:
        form = f'--{boundary}\r\nContent-Disposition: form-data; name="f"\r\n\r\n{content}\r\n--{boundary}--\r\n'
        return body_of(form.encode(), f"multipart/form-data; boundary={boundary}")

    assert digest("aaa", "x") == digest("bbbbb", "x") != digest("aaa", "y")


@pytest.mark.parametrize(
    "form",
    [
        *("%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d %H:%M:%S.%f+00:00", "%A, %B %d, %Y", "%d %b %Y at %H:%M"),
        *("%a, %d %b %Y %H:%M:%S GMT", "%a %b %d %H:%M:%S %Y", "%B %d, %Y, %I:%M %p", "%s", "%s123", "%s.5"),
    ],
)
def test_times_that_mean_now(form: str) -> None:
    def prompt(moment: float) -> str:
        at = datetime.fromtimestamp(moment, UTC)
        return f"It is {at.strftime(form.replace('%s', str(int(moment))))}. Go."

    later, past = NOW + 40 * 86400 + 7777, NOW - 300 * 86400
    assert prompt(NOW) != prompt(later)
    assert timeless(prompt(NOW), [NOW, later]) == timeless(prompt(later), [NOW, later])
    assert timeless(prompt(past), [NOW, later]) == prompt(past)


def test_a_fixed_date_on_the_day_of_the_recording(tmp_path: Path) -> None:
    cassette = Cassette(tmp_path / "c.yaml", Redaction([]))
    days = [canonical("POST", "x", f"Book for 2026-11-{day}.", [])[0] for day in (21, 22)]
    cassette.known = [Entry(request, Answer(0.0, 200, body=str(n)), NOW) for n, request in enumerate(days)]
    assert [cassette.find(request, NOW + 9e6) for request in days] == cassette.known
    elsewhere = canonical("POST", "x", "Book for 2026-12-25.", [])[0]
    assert cassette.find(elsewhere, NOW + 9e6) is None


@given(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=60), st.lists(st.integers(1, 7), min_size=1, max_size=9)
)
def test_secrets_in_pieces(text: str, sizes: list[int]) -> None:
    """A stream's text is rewritten as if it came whole, however it is cut."""
    secret = "sk-" + "secret12" * 2
    pieces: list[str] = []
    whole = f"{text}{secret}{text}"
    while whole:
        pieces.append(whole[: sizes[len(pieces) % len(sizes)]])
        whole = whole[len(pieces[-1]) :]
    chunks = [{"choices": [{"index": 0, "delta": {"content": piece}}]} for piece in pieces]
    rules = Redaction([]).rules({"authorization": f"Bearer {secret}"})
    events = in_events([f"data: {orjson.dumps(chunk).decode()}" for chunk in chunks], rules)
    contents = [orjson.loads(event.removeprefix("data: "))["choices"][0]["delta"]["content"] for event in events]
    assert len(events) == len(pieces)
    assert "".join(contents).count("<key>") >= 1
    assert secret not in "".join(contents)
    if "sk-" not in text:
        assert "".join(contents) == f"{text}<key>{text}"


@given(
    _values, st.lists(st.tuples(st.floats(0, 9, width=16), _texts.map(lambda text: text.replace("\r", ""))), max_size=4)
)
def test_what_is_saved_is_read(
    tmp_path_factory: pytest.TempPathFactory, value: Any, events: list[tuple[float, str]]
) -> None:
    path = tmp_path_factory.getbasetemp() / "drawn.yaml"
    request, _ = canonical("POST", "x", value, [])
    kept = tuple((round(at, 3), text) for at, text in events)
    answer = Answer(0.5, 200, "text/event-stream", 1.5, body=b"\xff", events=kept, failure="ReadError: x", left=True)
    cassette = Cassette(path, Redaction(["a{9}", "secret"]))
    cassette.add(Entry(request, answer, NOW))
    cassette.save()
    again = Cassette(path, Redaction([]))
    again.load()
    (entry,) = again.known
    assert (entry.request.key, entry.answer, entry.recorded) == (request.key, answer, NOW)
    assert again.redaction.patterns == ("a{9}",)
    cassette.save()
    assert isinstance(answer.error(httpx.Request("GET", "http://x")), httpx.ReadError)
