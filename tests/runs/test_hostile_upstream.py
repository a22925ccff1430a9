"""What no Chat Completions server should send: the run fails and names it, or succeeds; it never hangs."""

import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai import OpenAI

from tests.conftest import official_client
from tests.runs.streams import CODE, assistant_with, function, thread_with
from tests.scripted_upstream import JSON, Reply, ScriptedUpstream
from tests.server_process import ServerProcess

TERMINAL = ("completed", "failed", "requires_action")


def _delta(**delta: Any) -> JSON:
    return {"choices": [{"delta": delta}]}


def _tool(**call: Any) -> JSON:
    return _delta(tool_calls=[call])


SHAPES: dict[str, JSON | str] = {
    "choices is an object": {"choices": {"delta": {}}},
    "choices holds null": {"choices": [None]},
    "choices holds text": {"choices": ["x"]},
    "delta is text": {"choices": [{"delta": "x"}]},
    "content is a number": _delta(content=5),
    "content is an object": _delta(content={"a": 1}),
    "refusal is a number": _delta(refusal=5),
    "finish_reason is a list": {"choices": [{"delta": {}, "finish_reason": ["stop"]}]},
    "usage is text": {"choices": [], "usage": "much"},
    "usage counts are text": {"choices": [], "usage": {"prompt_tokens": "many"}},
    "usage beyond measure": '{"choices": [], "usage": {"prompt_tokens": 1180591620717411303424}}',
    "tool name is an object": _tool(index=0, function={"name": {"a": 1}}),
    "tool id is a number": _tool(index=0, id=5, function={"name": "f"}),
    "function is text": _tool(index=0, function="f"),
    "tool_calls holds null": _delta(tool_calls=[None]),
    "tool_calls is text": _delta(tool_calls="f"),
    "a list": "[]",
    "no JSON": "{oops",
    "deep": '{"a":' * 2000 + "1" + "}" * 2000,
}


@pytest.mark.parametrize("shape", SHAPES)
def test_shapes(shape: str, client: OpenAI, server: ServerProcess, upstream: ScriptedUpstream) -> None:
    model = upstream.script(Reply(chunks=[SHAPES[shape]]))
    thread = thread_with(client)
    run = client.beta.threads.runs.create_and_poll(
        thread_id=thread, assistant_id=assistant_with(client, model, [function("f")])
    )
    assert run.status in TERMINAL
    if run.status == "failed":
        assert run.last_error is not None
        assert run.last_error.message.startswith(f"The upstream {upstream.root} ")
        client.beta.threads.messages.create(thread, role="user", content="go on")
    assert "Traceback" not in server.log()


@pytest.mark.parametrize(
    "arguments",
    ['{"code": "print(\'\\ud83d\')"}', "[" * 100_000, '{"code": ' + "9" * 5000 + "}", '{"code": null}', ""],
    ids=["lone surrogate", "deep", "long number", "null", "nothing"],
)
def test_code_arguments(arguments: str, client: OpenAI, server: ServerProcess, upstream: ScriptedUpstream) -> None:
    model = upstream.script(Reply(calls=[("code_interpreter", arguments)]), Reply("ok"))
    run = client.beta.threads.runs.create_and_poll(
        thread_id=thread_with(client), assistant_id=assistant_with(client, model, [CODE])
    )
    assert run.status == "completed", run.last_error
    assert "Traceback" not in server.log()


def test_an_answer_that_ends_half_way(client: OpenAI, upstream: ScriptedUpstream) -> None:
    model = upstream.script(Reply(chunks=[_delta(content="half")], cut=True))
    run = client.beta.threads.runs.create_and_poll(
        thread_id=thread_with(client), assistant_id=assistant_with(client, model)
    )
    assert run.status == "failed"
    assert run.last_error is not None
    assert "half-way" in run.last_error.message


@pytest.mark.parametrize("value", ["nan", "-5", "soon"])
def test_retry_after(value: str, client: OpenAI, upstream: ScriptedUpstream) -> None:
    busy = Reply(status=429, body="{}", headers={"retry-after": value})
    model = upstream.script(busy, Reply("ok"))
    run = client.beta.threads.runs.create_and_poll(
        thread_id=thread_with(client), assistant_id=assistant_with(client, model)
    )
    assert run.status == "completed"


def test_an_error_without_end(client: OpenAI, upstream: ScriptedUpstream) -> None:
    model = upstream.script(Reply(status=400, body="x" * 5_000_000))
    run = client.beta.threads.runs.create_and_poll(
        thread_id=thread_with(client), assistant_id=assistant_with(client, model)
    )
    assert run.last_error is not None
    assert len(run.last_error.message) < 3000


def test_the_key_shows_nowhere(upstream: ScriptedUpstream, tmp_path: Path) -> None:
    secret = "sk-secret123"
    echo = Reply(status=401, body={"error": {"message": f"Incorrect API key provided: {secret}"}})
    model = upstream.script(echo)
    url = upstream.url.replace("//", f"//user:{secret}@")
    server = ServerProcess(tmp_path / "data", "--upstream", url, environ={"UNDERSTUDY_UPSTREAM_KEY": f"{secret}\n"})
    with official_client(server) as client:
        run = client.beta.threads.runs.create_and_poll(
            thread_id=thread_with(client), assistant_id=assistant_with(client, model)
        )
        assert run.last_error is not None
        assert "Incorrect API key provided: ***" in run.last_error.message
    assert secret not in str(server.health())
    assert secret not in server.log()
    assert server.stop() == 0


def test_a_key_in_latin_1_goes_through_as_it_came(upstream: ScriptedUpstream, tmp_path: Path) -> None:
    model = upstream.script(Reply("ok"))
    server = ServerProcess(tmp_path / "data", "--upstream", upstream.url, "--upstream-key", "pass-through")
    with official_client(server) as plain:
        thread, assistant = thread_with(plain), assistant_with(plain, model)
        headers = {b"authorization": b"Bearer k\xe9y"}
        answer = httpx.post(f"{server.url}/threads/{thread}/runs", json={"assistant_id": assistant}, headers=headers)
        assert plain.beta.threads.runs.poll(answer.json()["id"], thread_id=thread).status == "completed"
    assert upstream.headers[model][0]["authorization"] == "Bearer k\xe9y"
    assert server.stop() == 0


def test_a_stop_ends_streams_in_good_order(upstream: ScriptedUpstream, tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "data", "--upstream", upstream.url)
    with official_client(server) as client:
        model = upstream.script(Reply(pieces=["begun ", "never"], hold=threading.Event()))
        events = client.beta.threads.runs.create(
            thread_with(client), assistant_id=assistant_with(client, model), stream=True
        )
        names = []
        for event in events:
            names.append(event.event)
            if event.event == "thread.message.delta" and len(names) < 10:
                server.process.terminate()
    assert names[-3:] == ["thread.message.incomplete", "thread.run.step.failed", "thread.run.failed"]
    assert server.process.wait(timeout=20) == 0
