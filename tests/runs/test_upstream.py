"""Chat Completions servers as they are: without ids, indexes or usage, refusing parameters, failing."""

import socket
from pathlib import Path

import pytest
from openai import OpenAI

from tests.conftest import official_client
from tests.runs.streams import assistant_with, function, thread_with
from tests.scripted_upstream import JSON, Reply, ScriptedUpstream
from tests.server_process import ServerProcess


def _call(arguments: str, *, f: JSON | None = None, **given: object) -> JSON:
    call = {"function": {"arguments": arguments, **(f or {})}, **given}
    return {"choices": [{"delta": {"tool_calls": [call]}}]}


END: JSON = {"choices": [{"delta": {}, "finish_reason": "stop"}]}


@pytest.mark.parametrize(
    "chunks",
    [
        pytest.param(
            [_call("", index=0, f={"name": "f"}), _call('{"a"', index=0), _call(": 1}", index=0), END], id="no ids"
        ),
        pytest.param(
            [_call("", id="x", f={"name": "f"}), _call('{"a"'), _call(": 1}"), END], id="no indexes, id only once"
        ),
        pytest.param([_call('{"a": 1}', f={"name": "f"}), END], id="whole, with nothing"),
        pytest.param([_call('{"a": 1}', index=0, id="x", f={"name": "f"}), END], id="finish reason stop"),
        pytest.param([_call("", index=0, id="x"), _call('{"a": 1}', index=0, f={"name": "f"}), END], id="name late"),
        pytest.param([_call('{"a": 1}', index=0, id="", f={"name": "f"})], id="no finish reason"),
    ],
)
def test_sloppy_tool_calls(chunks: list[JSON | str], client: OpenAI, upstream: ScriptedUpstream) -> None:
    model = upstream.script(Reply(chunks=chunks))
    run = client.beta.threads.runs.create_and_poll(
        thread_id=thread_with(client), assistant_id=assistant_with(client, model, [function("f")])
    )
    assert run.required_action is not None, run.last_error
    (call,) = run.required_action.submit_tool_outputs.tool_calls
    assert call.id
    assert (call.function.name, call.function.arguments) == ("f", '{"a": 1}')


@pytest.mark.parametrize(
    "chunks",
    [
        pytest.param([_call("1", id="x", f={"name": "f"}), _call("2", id="y", f={"name": "g"}), END], id="ids alone"),
        pytest.param(
            [_call("1", index=0, id="x", f={"name": "f"}), _call("2", index=0, id="y", f={"name": "g"}), END],
            id="always index 0",
        ),
        pytest.param([_call("1", f={"name": "f"}), _call("2", f={"name": "g"}), END], id="names alone"),
        pytest.param(
            [
                {
                    "choices": [
                        {
                            "delta": {
                                "tool_calls": [
                                    {"function": {"name": "f", "arguments": "1"}},
                                    {"function": {"name": "g", "arguments": "2"}},
                                ]
                            }
                        }
                    ]
                },
                END,
            ],
            id="both in one chunk",
        ),
    ],
)
def test_sloppy_parallel_calls(chunks: list[JSON | str], client: OpenAI, upstream: ScriptedUpstream) -> None:
    model = upstream.script(Reply(chunks=chunks))
    assistant = assistant_with(client, model, [function("f"), function("g")])
    run = client.beta.threads.runs.create_and_poll(thread_id=thread_with(client), assistant_id=assistant)
    assert run.required_action is not None, run.last_error
    calls = run.required_action.submit_tool_outputs.tool_calls
    assert [(call.function.name, call.function.arguments) for call in calls] == [("f", "1"), ("g", "2")]
    assert len({call.id for call in calls}) == 2


def test_an_id_used_twice_is_replaced(client: OpenAI, upstream: ScriptedUpstream) -> None:
    chunks: list[JSON | str] = [_call("{}", index=0, id="call_0", f={"name": "f"}), END]
    model = upstream.script(Reply(chunks=chunks), Reply(chunks=chunks), Reply("done"))
    thread = thread_with(client)
    run = client.beta.threads.runs.create_and_poll(
        thread_id=thread, assistant_id=assistant_with(client, model, [function("f")])
    )
    ids = []
    while run.required_action is not None:
        ids.append(run.required_action.submit_tool_outputs.tool_calls[0].id)
        run = client.beta.threads.runs.submit_tool_outputs_and_poll(
            run_id=run.id, thread_id=thread, tool_outputs=[{"tool_call_id": ids[-1], "output": "1"}]
        )
    assert run.status == "completed"
    assert len(set(ids)) == 2


def test_usage_that_is_missing_is_estimated(client: OpenAI, upstream: ScriptedUpstream) -> None:
    model = upstream.script(Reply("four words of text", usage=None))
    run = client.beta.threads.runs.create_and_poll(
        thread_id=thread_with(client), assistant_id=assistant_with(client, model)
    )
    assert run.usage is not None
    assert 3 <= run.usage.completion_tokens <= 6
    assert run.usage.total_tokens == run.usage.prompt_tokens + run.usage.completion_tokens


def test_a_server_that_does_not_stream(client: OpenAI, upstream: ScriptedUpstream) -> None:
    model = upstream.script(Reply("Whole.", calls=[("f", {"a": 1})], whole=True), Reply("Done.", whole=True))
    thread = thread_with(client)
    run = client.beta.threads.runs.create_and_poll(
        thread_id=thread, assistant_id=assistant_with(client, model, [function("f")])
    )
    assert run.required_action is not None
    (call,) = run.required_action.submit_tool_outputs.tool_calls
    assert call.function.arguments == '{"a":1}'


def test_what_breaks_lines_elsewhere_is_text_here(client: OpenAI, upstream: ScriptedUpstream) -> None:
    text = "a\u2028b\u2029c\u0085d\x0be\r\nf"
    thread = thread_with(client)
    run = client.beta.threads.runs.create_and_poll(
        thread_id=thread, assistant_id=assistant_with(client, upstream.script(Reply(text)))
    )
    assert run.status == "completed"
    assert client.beta.threads.messages.list(thread).data[0].content[0].to_dict()["text"] == {
        "value": text,
        "annotations": [],
    }


def _refusing(name: str) -> object:
    def reply(body: JSON) -> Reply:
        if name in body:
            return Reply(status=400, body={"error": {"message": f"Unsupported parameter: '{name}'", "param": name}})
        return Reply("ok")

    return reply


@pytest.mark.parametrize("name", ["stream_options", "parallel_tool_calls", "temperature", "max_completion_tokens"])
def test_what_a_server_refuses_is_left_out(name: str, client: OpenAI, upstream: ScriptedUpstream) -> None:
    refuse = _refusing(name)
    model = upstream.script(refuse, refuse, refuse)  # type: ignore[arg-type]
    assistant = assistant_with(client, model, [function("f")])
    for _ in range(2):
        run = client.beta.threads.runs.create_and_poll(
            thread_id=thread_with(client),
            assistant_id=assistant,
            temperature=0.3,
            parallel_tool_calls=False,
            max_completion_tokens=500,
        )
        assert run.status == "completed", run.last_error
    requests = upstream.requests[model]
    assert [name in request for request in requests] == [True, False, False]
    if name == "max_completion_tokens":
        assert requests[-1]["max_tokens"] == 500


def test_rate_limits_are_retried_then_told(client: OpenAI, upstream: ScriptedUpstream) -> None:
    busy = Reply(status=429, body={"error": {"message": "Slow down."}}, headers={"retry-after-ms": "10"})
    model = upstream.script(busy, busy, Reply("after all"), busy, busy, busy)
    assistant, thread = assistant_with(client, model), thread_with(client)
    run = client.beta.threads.runs.create_and_poll(thread_id=thread, assistant_id=assistant)
    assert run.status == "completed"
    run = client.beta.threads.runs.create_and_poll(thread_id=thread, assistant_id=assistant)
    assert run.status == "failed"
    assert run.last_error is not None
    assert run.last_error.code == "rate_limit_exceeded"
    assert "Slow down." in run.last_error.message
    assert run.failed_at is not None


def test_an_upstream_that_breaks_off(client: OpenAI, upstream: ScriptedUpstream) -> None:
    chunks: list[JSON | str] = [{"choices": [{"delta": {"content": "begun"}}]}, {"error": {"message": "out of memory"}}]
    thread = thread_with(client)
    run = client.beta.threads.runs.create_and_poll(
        thread_id=thread, assistant_id=assistant_with(client, upstream.script(Reply(chunks=chunks)))
    )
    assert run.last_error is not None
    assert (run.status, run.last_error.code) == ("failed", "server_error")
    assert "out of memory" in run.last_error.message
    message = client.beta.threads.messages.list(thread).data[0].to_dict()
    assert (message["status"], message["incomplete_details"]) == ("incomplete", {"reason": "run_failed"})
    assert "begun" in str(message["content"])


def test_a_line_break_of_the_upstream_makes_no_entry_in_the_log(
    client: OpenAI, server: ServerProcess, upstream: ScriptedUpstream
) -> None:
    told = "first\n2026-11-21 11:00:00,000 ERROR forged"
    model = upstream.script(Reply(status=400, body={"error": {"message": told}}))
    run = client.beta.threads.runs.create_and_poll(
        thread_id=thread_with(client), assistant_id=assistant_with(client, model)
    )
    assert run.last_error is not None
    assert told in run.last_error.message
    assert "ERROR forged" in server.log()
    assert not [line for line in server.log().splitlines() if line.startswith("2026-11-21 11:00:00,000 ERROR")]


def test_what_a_model_says_is_not_logged(client: OpenAI, server: ServerProcess, upstream: ScriptedUpstream) -> None:
    late: JSON = {"choices": [{"delta": {"content": "secret answer"}}]}
    model = upstream.script(Reply(chunks=[_call("{}", index=0, f={"name": "f"}), late, late, END]))
    run = client.beta.threads.runs.create_and_poll(
        thread_id=thread_with(client), assistant_id=assistant_with(client, model, [function("f")])
    )
    assert run.status == "requires_action"
    assert "secret" not in server.log()
    assert server.log().count(f"{run.id}: the model went on talking") == 1


def test_an_unreachable_upstream_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = ServerProcess(tmp_path / "data", "--upstream", f"http://127.0.0.1:{port}/v1")
    with official_client(server) as client:
        assistant, thread = assistant_with(client, "m"), thread_with(client)
        run = client.beta.threads.runs.create_and_poll(thread_id=thread, assistant_id=assistant)
        assert run.status == "failed"
        assert run.last_error is not None
        assert f"http://127.0.0.1:{port} is unreachable" in run.last_error.message
        client.beta.threads.messages.create(thread, role="user", content="again")
    assert "Traceback" not in server.log()
    assert server.log().count("is unreachable") == 1
    assert server.stop() == 0


def test_azure(upstream: ScriptedUpstream, tmp_path: Path) -> None:
    model = upstream.script(Reply("from Azure"))
    url = f"{upstream.root}/openai?api-version=2024-10-21"
    flags = ("--upstream", url, "--upstream-key", "azure-key", "--models", f"gpt-*={model}")
    server = ServerProcess(tmp_path / "data", *flags)
    with official_client(server) as client:
        thread = thread_with(client)
        run = client.beta.threads.runs.create_and_poll(thread_id=thread, assistant_id=assistant_with(client, "gpt-4o"))
        assert (run.status, run.model) == ("completed", "gpt-4o")
    assert upstream.paths[model] == [f"/openai/deployments/{model}/chat/completions?api-version=2024-10-21"]
    assert upstream.headers[model][0]["api-key"] == "azure-key"
    assert "authorization" not in upstream.headers[model][0]
    assert server.stop() == 0


def test_the_callers_key_goes_through_to_the_upstream_only_where_asked(
    upstream: ScriptedUpstream, tmp_path: Path, client: OpenAI
) -> None:
    model = upstream.script(Reply("one"), Reply("two"))
    server = ServerProcess(tmp_path / "data", "--upstream", upstream.url, "--upstream-key", "pass-through")
    with official_client(server) as passing:
        for one in (passing, client):
            run = one.beta.threads.runs.create_and_poll(
                thread_id=thread_with(one), assistant_id=assistant_with(one, model)
            )
            assert run.status == "completed"
    first, second = upstream.headers[model]
    assert first["authorization"] == "Bearer sk-test"
    assert "authorization" not in second
    assert "sk-test" not in server.log()
    assert server.stop() == 0
