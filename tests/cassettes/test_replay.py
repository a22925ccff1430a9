"""A cassette recorded from one upstream stands in for it: in another process, under other ids and times."""

import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai import OpenAI

from tests.cassettes.recordings import entries, run_to_end, serving
from tests.runs.streams import CODE, JSON, assistant_with, function, stream, thread_with
from tests.runs.test_file_search import SEARCH, searching, store_with
from tests.scripted_upstream import Reply, ScriptedUpstream
from tests.server_process import ServerProcess

pytestmark = pytest.mark.usefixtures("outside_ci")
PLOT = "import matplotlib.pyplot as plt\nopen('/mnt/data/out.csv', 'w').write('a')\nplt.plot([1, 2])"
WEATHER = {"city": "Paris"}


def _converse(server: ServerProcess, client: OpenAI, model: str) -> list[Any]:
    """A function call, code, a search, a stream; what came of them, without ids."""
    file = client.files.create(file=("in.csv", b"a,b\n1,2\n"), purpose="assistants").id
    tools: list[Any] = [CODE, SEARCH, function("weather")]
    store = store_with(client, foods="Ada's favourite food is lasagne.", bikes="The shop opens at nine.")
    assistant = searching(client, model, store, tools=tools, instructions=f"The file is {file}.")
    resources: Any = {"code_interpreter": {"file_ids": [file]}, "file_search": {"vector_store_ids": [store]}}
    client.beta.assistants.update(assistant, tool_resources=resources)
    thread = thread_with(client, f"Now it is {time.strftime('%Y-%m-%d %H:%M:%S')}. How about {file}?")
    run = client.beta.threads.runs.create_and_poll(thread_id=thread, assistant_id=assistant)
    assert run.status == "requires_action", run.last_error
    assert run.required_action is not None
    (call,) = run.required_action.submit_tool_outputs.tool_calls
    said = [call.function.arguments.replace(file, "FILE")]
    run = client.beta.threads.runs.submit_tool_outputs_and_poll(
        run_id=run.id, thread_id=thread, tool_outputs=[{"tool_call_id": call.id, "output": "21"}]
    )
    assert run.status == "completed", run.last_error
    steps = client.beta.threads.runs.steps.list(run.id, thread_id=thread, order="asc")
    said += [step.step_details.tool_calls[0].type for step in steps if step.type == "tool_calls"]  # type: ignore[union-attr]
    *_, answer = client.beta.threads.messages.list(thread, run_id=run.id).data[0].content
    assert answer.type == "text"
    assert [note.type for note in answer.text.annotations] == ["file_citation"]
    said.append(answer.text.value.replace(file, "FILE"))
    events = stream(server, f"/threads/{thread}/runs", assistant_id=assistant)
    assert events.names[-1] == "done"
    return [*said, [part["delta"]["content"][0]["text"]["value"] for part in events.of("thread.message.delta")]]


def _file(body: JSON) -> str:
    return str(body["messages"][0]["content"]).partition("The file is ")[2].partition(".")[0]


def test_a_conversation(upstream: ScriptedUpstream, tmp_path: Path) -> None:
    model = upstream.script(
        lambda body: Reply(calls=[("weather", WEATHER | {"file": _file(body)})]),
        Reply(calls=[("code_interpreter", {"code": PLOT})]),
        Reply(calls=[("file_search", {"query": "favourite food"})]),
        lambda body: Reply(pieces=["Lasagne【0:0†foods.txt】", ", says ", _file(body)[:9], _file(body)[9:], "."]),
        Reply(pieces=["Hello", " there", "!"]),
    )
    cassette = tmp_path / "weather.yaml"
    flags = ("--cassette", str(cassette))
    with serving(tmp_path / "one", "--upstream", upstream.url, *flags, command="record") as (server, client):
        recorded = _converse(server, client, model)
    assert "5 answers recorded" in server.log()
    assert len(entries(cassette)) == 5
    asked = len(upstream.requests[model])
    content = cassette.read_bytes()
    with serving(tmp_path / "two", *flags) as (server, client):
        assert server.health()["model"] == {"backend": "cassette", "upstream": None}
        assert _converse(server, client, model) == recorded
    assert recorded[1:4] == ["function", "code_interpreter", "file_search"]
    assert "0 answers recorded, 5 replayed; 0 calls missed, 0 entries not asked for" in server.log()
    assert len(upstream.requests[model]) == asked
    assert cassette.read_bytes() == content
    assert [path.name for path in tmp_path.iterdir() if "weather" in path.name] == ["weather.yaml"]


def test_embeddings(upstream: ScriptedUpstream, tmp_path: Path) -> None:
    flags = ("--embedder", "upstream:words", "--cassette", str(tmp_path / "words.yaml"))

    def found(client: OpenAI) -> list[tuple[str, float]]:
        store = store_with(client, cats="Cats purr.", looms="Looms weave.")
        page = client.vector_stores.search(store, query="What purrs?")
        return [(result.filename, result.score) for result in page]

    with serving(tmp_path / "one", "--upstream", upstream.url, *flags, command="record") as (_, client):
        recorded = found(client)
    with serving(tmp_path / "two", *flags) as (_, client):
        assert found(client) == recorded
        with pytest.raises(AssertionError):
            store_with(client, dogs="Dogs bark.")
        latest = client.vector_stores.list().data[0].id
        (file,) = client.vector_stores.files.list(latest)
    assert file.last_error is not None
    assert "POST embeddings" in file.last_error.message
    assert "-  - Cats purr.\n+  - Dogs bark.\n" in file.last_error.message
    assert len(recorded) == 2


def test_proxied_calls(upstream: ScriptedUpstream, tmp_path: Path) -> None:
    model = upstream.script(Reply("whole"), Reply(pieces=["in ", "pieces"]))
    flags = ("--cassette", str(tmp_path / "proxied.yaml"))

    def asked(client: OpenAI) -> list[object]:
        messages: Any = [{"role": "user", "content": "hi"}]
        whole = client.chat.completions.create(model=model, messages=messages)
        stream = client.chat.completions.create(model=model, messages=messages, stream=True)
        pieces = [chunk.choices[0].delta.content for chunk in stream if chunk.choices]
        speech = client.audio.speech.create(model="tts-1", voice="alloy", input="hi").read()
        text = client.audio.transcriptions.create(model="whisper-1", file=("a.wav", b"RIFF" * 1000)).text
        models = [one.id for one in client.models.list()]
        return [whole.choices[0].message.content, pieces, speech, text, models]

    with serving(tmp_path / "one", "--upstream", upstream.url, *flags, command="record") as (_, client):
        recorded = asked(client)
    with serving(tmp_path / "two", *flags) as (server, client):
        assert asked(client) == recorded
        assert "missed" not in server.log()
    assert recorded[:2] == ["whole", ["", "in ", "pieces", None]]


def test_retries_and_errors(upstream: ScriptedUpstream, tmp_path: Path) -> None:
    busy = Reply(status=429, body={"error": {"message": "slow down"}}, headers={"retry-after": "1"})
    refused = Reply(status=400, body={"error": {"message": "the prompt is bad", "code": "invalid_prompt"}})
    broken = Reply(chunks=["not json"])
    model = upstream.script(busy, Reply("at last"), refused, Reply(pieces=["half"], cut=True, finish=None), broken)
    flags = ("--cassette", str(tmp_path / "errors.yaml"))

    def ends(client: OpenAI) -> list[Any]:
        assistant = assistant_with(client, model)
        runs = [run_to_end(client, assistant, f"number {number}") for number in range(4)]
        return [(run.status, run.last_error and (run.last_error.code, run.last_error.message)) for run in runs]

    with serving(tmp_path / "one", "--upstream", upstream.url, *flags, command="record") as (_, client):
        recorded = ends(client)
    began = time.monotonic()
    with serving(tmp_path / "two", *flags) as (_, client):
        replayed = ends(client)
    assert [status for status, _ in recorded] == ["completed", "failed", "completed", "failed"]
    assert [(status, error and error[0]) for status, error in replayed] == [
        (status, error and error[0]) for status, error in recorded
    ]
    assert "the prompt is bad" in replayed[1][1][1]
    assert time.monotonic() - began < 60


def test_an_upstream_that_is_away(tmp_path: Path) -> None:
    flags = ("--cassette", str(tmp_path / "away.yaml"), "--model", "m")
    for flag in ("--upstream", "http://127.0.0.1:9/v1"), ():
        command = "record" if flag else "serve"
        with serving(tmp_path / command, *flag, *flags, command=command) as (_, client):
            run = run_to_end(client, assistant_with(client, "m"), "hi")
            assert run.status == "failed"
            assert "is unreachable (All connection attempts failed)" in str(run.last_error)
    (entry,) = entries(tmp_path / "away.yaml")
    assert entry["response"].keys() == {"at", "failure"}


def test_an_answer_that_breaks_off(upstream: ScriptedUpstream, tmp_path: Path) -> None:
    flags = ("--cassette", str(tmp_path / "cut.yaml"))

    def got(server: ServerProcess) -> bytes:
        with httpx.stream("GET", f"{server.url}/echo/cut") as answer:
            pieces = answer.iter_raw()
            begun = next(pieces)
            with pytest.raises(httpx.RemoteProtocolError):
                next(pieces)
        return begun

    with serving(tmp_path / "one", "--upstream", upstream.url, *flags, command="record") as (server, _):
        assert got(server) == b"half"
    with serving(tmp_path / "two", *flags) as (server, _):
        assert got(server) == b"half"


def test_a_run_that_was_cancelled(upstream: ScriptedUpstream, tmp_path: Path) -> None:
    """Who did not wait for the end of an answer does not get to its end either when it is replayed."""
    model = upstream.script(Reply(pieces=["one", "two", "three", "four"], delay=0.3), Reply("next"))
    flags = ("--cassette", str(tmp_path / "cancelled.yaml"))

    def cancel(client: OpenAI) -> str:
        assistant, thread = assistant_with(client, model), thread_with(client)
        with client.beta.threads.runs.stream(thread_id=thread, assistant_id=assistant) as events:
            for event in events:
                if event.event == "thread.message.delta":
                    client.beta.threads.runs.cancel(event_run(events), thread_id=thread)
                    break
        runs = client.beta.threads.runs
        run = runs.poll(next(iter(runs.list(thread))).id, thread_id=thread)
        assert run_to_end(client, assistant, "go on").status == "completed"
        return run.status

    def event_run(events: Any) -> str:
        return str(events.current_run.id)

    with serving(tmp_path / "one", "--upstream", upstream.url, *flags, command="record") as (_, client):
        assert cancel(client) == "cancelled"
    first, _ = entries(tmp_path / "cancelled.yaml")
    assert first["response"]["left"] is True
    with serving(tmp_path / "two", *flags) as (_, client):
        assert cancel(client) == "cancelled"


def test_pacing(upstream: ScriptedUpstream, tmp_path: Path) -> None:
    model = upstream.script(Reply(pieces=["a", "b", "c"], delay=0.2))
    flags = ("--cassette", str(tmp_path / "slow.yaml"))
    with serving(tmp_path / "one", "--upstream", upstream.url, *flags, command="record") as (_, client):
        run_to_end(client, assistant_with(client, model), "hi")
    seconds = []
    for pacing in ("real", "none"):
        with serving(tmp_path / pacing, *flags, "--cassette-pacing", pacing) as (_, client):
            began = time.monotonic()
            run_to_end(client, assistant_with(client, model), "hi")
            seconds.append(time.monotonic() - began)
    assert seconds[0] > 1.0
    assert seconds[1] < seconds[0]
