"""`understudy script from-thread`: what happened in a thread, written down, happens again."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai import OpenAI

from tests.conftest import official_client
from tests.runs.streams import CODE, JSON, assistant_with, function
from tests.runs.test_file_search import SEARCH, store_with
from tests.scripted_upstream import Reply, ScriptedUpstream
from tests.server_process import ServerProcess
from understudy.script.document import Document, written
from understudy.script.from_thread import Record, script_of
from understudy.script.review import review
from understudy.script.script import Script

TEXT = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("\n\r\t \x85\u2028${}:-#'\"0e."))
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3))
OUTPUTS = {"f": '{"n": 1}\u2028#', "g": "two\nlines"}
SAID = ["go", "go on", "GO", "/a path/", "go on", "look", "cut", "refuse", "fail", "fail", "wait"]


@given(VALUES)
def test_what_is_written_is_read_again(value: Any) -> None:
    assert Document(written([{"key": value}])).data == [{"key": value}]


def _written(server: ServerProcess, thread: str, *flags: str) -> str:
    command = [sys.executable, "-m", "understudy", "script", "from-thread", thread, "--base-url", server.url, *flags]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _play(client: OpenAI, model: str) -> str:
    """A thread with a run after each of SAID; calls are answered from OUTPUTS, where there is no answer cancelled."""
    store = store_with(client, ada="Ada eats lasagne every Sunday.")
    resources = {"file_search": {"vector_store_ids": [store]}}
    assistant = assistant_with(client, model, [*map(function, "fgh"), CODE, SEARCH], tool_resources=resources)
    thread = client.beta.threads.create().id
    for text in SAID:
        client.beta.threads.messages.create(thread, role="user", content=text)
        run = client.beta.threads.runs.create_and_poll(thread_id=thread, assistant_id=assistant)
        while run.required_action is not None:
            calls = run.required_action.submit_tool_outputs.tool_calls
            if any(call.function.name not in OUTPUTS for call in calls):
                client.beta.threads.runs.cancel(run.id, thread_id=thread)
                run = client.beta.threads.runs.poll(run.id, thread_id=thread)
                break
            run = client.beta.threads.runs.submit_tool_outputs_and_poll(
                run_id=run.id,
                thread_id=thread,
                tool_outputs=[{"tool_call_id": call.id, "output": OUTPUTS[call.function.name]} for call in calls],
            )
    return thread


def _happened(client: OpenAI, thread: str) -> list[JSON]:
    """What the client sees of a thread, without ids and times."""
    seen: list[JSON] = []
    for run in client.beta.threads.runs.list(thread, order="asc"):
        steps = client.beta.threads.runs.steps.list(run.id, thread_id=thread, order="asc")
        calls: list[Any] = [
            call.to_dict()
            for step in steps
            if step.type == "tool_calls"
            for call in step.step_details.tool_calls  # type: ignore[union-attr]
        ]
        messages = [
            message.to_dict() for message in client.beta.threads.messages.list(thread, order="asc", run_id=run.id)
        ]
        seen.append(
            {
                "status": run.status,
                "error": run.last_error and run.last_error.to_dict(),
                "incomplete": run.incomplete_details and run.incomplete_details.to_dict(),
                "calls": [_without_ids(call) for call in calls],
                "messages": [
                    _without_ids({key: message[key] for key in ("status", "content")}) for message in messages
                ],
            }
        )
    return seen


def _without_ids(value: Any) -> Any:
    match value:
        case list():
            return [_without_ids(item) for item in value]
        case {"outputs": outputs}:
            # Canned code shows its logs first.
            return {**value, "outputs": sorted((_without_ids(output) for output in outputs), key=str)}
        case dict():
            hidden = ("id", "file_id", "score")
            seen = {key: _without_ids(item) for key, item in value.items() if key not in hidden}
            # White space between JSON's tokens is not the script's.
            return seen | {"arguments": json.loads(seen["arguments"])} if "arguments" in seen else seen
    return value


@pytest.fixture(scope="module")
def thread(client: OpenAI, upstream: ScriptedUpstream) -> str:
    """A thread in which a bit of everything has happened."""
    code = "import matplotlib.pyplot as plt\nplt.plot([1]); plt.show()\nprint('costs ${5}')"
    refusal: list[JSON | str] = [
        {"choices": [{"delta": {"refusal": "I will not."}}]},
        {"choices": [{"delta": {}, "finish_reason": "stop"}]},
    ]
    model = upstream.script(
        Reply("Costs ${5}, $${6}: 'yes'\n\nor # no "),
        Reply("Two at once.", calls=[("f", {"a": "${x}", "b": [1.5, None]}), ("f", {}), ("g", {"c": "0123"})]),
        Reply("They said so."),
        Reply("GO?"),
        Reply("A path."),
        Reply(calls=[("f", {"day": "2026-01-31"}), ("code_interpreter", {"code": code})]),
        Reply("Drawn."),
        Reply(calls=[("file_search", {"query": "look"})]),
        Reply("Ada eats lasagne 【0:0†ada.txt】."),
        Reply("And so", finish="length"),
        Reply(chunks=refusal),
        Reply(status=400, body={"error": {"message": "Too ${much}."}}),
        Reply("Better."),
        Reply(calls=[("h", {})]),
    )
    return _play(client, model)


@pytest.mark.parametrize("canned", [False, True])
def test_what_happened_happens_again(
    canned: bool, thread: str, client: OpenAI, server: ServerProcess, tmp_path: Path
) -> None:
    script = _written(server, thread, *(["--canned"] if canned else []))
    assert ("data:image/png" in script) is canned
    (tmp_path / "thread.yaml").write_text(script)
    assert [finding for finding in review(Script.read(tmp_path / "thread.yaml")) if finding.severity != "note"] == []
    flags = ["--sandbox", "off"] if canned else []
    replaying = ServerProcess(tmp_path / "data", "--script", str(tmp_path / "thread.yaml"), *flags)
    with official_client(replaying) as other:
        assert _happened(other, _play(other, "gpt-4o")) == _happened(client, thread)
    assert replaying.stop() == 0


def test_a_thread_that_is_not_there(server: ServerProcess) -> None:
    command = [sys.executable, "-m", "understudy", "script", "from-thread", "thread_x", "--base-url"]
    done = subprocess.run([*command, server.url], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "No thread found with id 'thread_x'" in done.stderr
    done = subprocess.run([*command, "http://127.0.0.1:9/v1"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "http://127.0.0.1:9/v1 does not tell what happened in thread_x" in done.stderr


def test_a_thread_without_runs() -> None:
    assert Script.parse(script_of(Record([], [], {}))).rules == ()
