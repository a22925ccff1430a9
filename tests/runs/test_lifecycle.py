"""Run states and refusals: locks, cancelling, expiry, budgets, failures."""

import sqlite3
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI

from tests.runs.streams import CODE, assistant_with, function, stream, thread_with
from tests.scripted_upstream import Reply, ScriptedUpstream
from tests.server_process import ServerProcess


def wait_for(condition: Callable[[], Any], seconds: float = 10) -> None:
    """Until the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.01)


def test_a_busy_thread_is_locked(client: OpenAI, upstream: ScriptedUpstream) -> None:
    hold = threading.Event()
    assistant = assistant_with(client, upstream.script(Reply("slow", hold=hold)))
    thread = thread_with(client)
    run = client.beta.threads.runs.create(thread, assistant_id=assistant)
    with pytest.raises(openai.BadRequestError) as caught:
        client.beta.threads.runs.create(thread, assistant_id=assistant)
    assert caught.value.body == {
        "message": f"Thread {thread} already has an active run {run.id}.",
        "type": "invalid_request_error",
        "param": None,
        "code": None,
    }
    with pytest.raises(openai.BadRequestError, match=f"Can't add messages to {thread} while a run {run.id} is active."):
        client.beta.threads.messages.create(thread, role="user", content="more")
    hold.set()
    done = client.beta.threads.runs.poll(run.id, thread_id=thread)
    assert done.status == "completed"
    client.beta.threads.messages.create(thread, role="user", content="more")


def test_only_one_of_many_simultaneous_runs_gets_the_thread(
    client: OpenAI, server: ServerProcess, upstream: ScriptedUpstream
) -> None:
    hold = threading.Event()
    assistant = assistant_with(client, upstream.script(Reply("slow", hold=hold)))
    thread = thread_with(client)
    statuses: list[int] = []

    def create() -> None:
        body = {"assistant_id": assistant}
        statuses.append(httpx.post(f"{server.url}/threads/{thread}/runs", json=body).status_code)

    workers = [threading.Thread(target=create) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    hold.set()
    assert sorted(statuses) == [200] + [400] * 7


def test_a_run_needs_something_to_say(client: OpenAI, server: ServerProcess) -> None:
    assistant = httpx.post(f"{server.url}/assistants", json={"model": "m"}).json()["id"]
    thread = client.beta.threads.create()
    with pytest.raises(openai.BadRequestError) as caught:
        client.beta.threads.runs.create(thread.id, assistant_id=assistant)
    assert caught.value.code == "invalid_thread"


def test_cancel_while_the_model_streams(client: OpenAI, server: ServerProcess, upstream: ScriptedUpstream) -> None:
    model = upstream.script(Reply(pieces=["begun ", "never"], hold=threading.Event()))
    assistant, thread = assistant_with(client, model), thread_with(client)
    cancelled: list[Any] = []

    def cancel() -> None:
        wait_for(lambda: client.beta.threads.messages.list(thread).data[0].role == "assistant")
        (run,) = client.beta.threads.runs.list(thread).data
        began = time.monotonic()
        cancelled.append(client.beta.threads.runs.cancel(run.id, thread_id=thread).status)
        wait_for(lambda: client.beta.threads.runs.retrieve(run.id, thread_id=thread).status == "cancelled")
        cancelled.append(time.monotonic() - began)

    worker = threading.Thread(target=cancel)
    worker.start()
    events = stream(server, f"/threads/{thread}/runs", assistant_id=assistant)
    worker.join()
    assert cancelled[0] == "cancelling"
    assert cancelled[1] < 1
    assert events.collapsed()[-5:] == [
        "run.cancelling",
        "message.incomplete",
        "run.step.cancelled",
        "run.cancelled",
        "done",
    ]
    (message,) = events.of("thread.message.incomplete")
    assert message["incomplete_details"] == {"reason": "run_cancelled"}
    assert message["content"][0]["text"]["value"] == "begun never"
    assert events.of("thread.run.cancelled")[0]["cancelled_at"] is not None
    client.beta.threads.messages.create(thread, role="user", content="more")


def test_cancel_while_code_runs(client: OpenAI, upstream: ScriptedUpstream) -> None:
    code = "import time\nprint('be' + 'gun', flush=True)\ntime.sleep(50)"
    model = upstream.script(
        Reply(calls=[("code_interpreter", {"code": code})]),
        Reply(calls=[("code_interpreter", {"code": "print('again')"})]),
        Reply("ok"),
    )
    assistant, thread = assistant_with(client, model, [CODE]), thread_with(client)
    steps = client.beta.threads.runs.steps
    with client.beta.threads.runs.create(thread, assistant_id=assistant, stream=True) as events:
        run = next(event.data for event in events if event.event == "thread.run.created")
        next(event for event in events if "begun" in event.data.to_json())
    began = time.monotonic()
    client.beta.threads.runs.cancel(run.id, thread_id=thread)
    wait_for(lambda: client.beta.threads.runs.retrieve(run.id, thread_id=thread).status == "cancelled")
    assert time.monotonic() - began < 2
    assert steps.list(run.id, thread_id=thread).data[0].status == "cancelled"
    again = client.beta.threads.runs.create_and_poll(thread_id=thread, assistant_id=assistant)
    assert again.status == "completed"
    call = steps.list(again.id, thread_id=thread, order="asc").data[0].to_dict()
    assert "again" in str(call["step_details"])


def test_cancel_while_action_is_required(client: OpenAI, upstream: ScriptedUpstream) -> None:
    model = upstream.script(Reply(calls=[("f", {})]))
    assistant, thread = assistant_with(client, model, [function("f")]), thread_with(client)
    run = client.beta.threads.runs.create_and_poll(thread_id=thread, assistant_id=assistant)
    assert run.status == "requires_action"
    assert client.beta.threads.runs.cancel(run.id, thread_id=thread).status == "cancelling"
    wait_for(lambda: client.beta.threads.runs.retrieve(run.id, thread_id=thread).status == "cancelled")
    with pytest.raises(openai.BadRequestError, match="Cannot cancel run with status 'cancelled'."):
        client.beta.threads.runs.cancel(run.id, thread_id=thread)
    with pytest.raises(openai.BadRequestError, match='Runs in status "cancelled" do not accept tool outputs.'):
        client.beta.threads.runs.submit_tool_outputs(run.id, thread_id=thread, tool_outputs=[])


def test_all_calls_are_answered_at_once(client: OpenAI, upstream: ScriptedUpstream) -> None:
    model = upstream.script(Reply(calls=[("f", {"n": 1}), ("g", {"n": 2})]), Reply("done"))
    assistant = assistant_with(client, model, [function("f"), function("g")])
    thread = thread_with(client)
    run = client.beta.threads.runs.create_and_poll(thread_id=thread, assistant_id=assistant)
    assert run.required_action is not None
    first, second = run.required_action.submit_tool_outputs.tool_calls
    with pytest.raises(openai.BadRequestError) as caught:
        client.beta.threads.runs.submit_tool_outputs(
            run.id, thread_id=thread, tool_outputs=[{"tool_call_id": first.id, "output": "1"}]
        )
    assert f"Expected tool outputs for call_ids ['{first.id}', '{second.id}'], got ['{first.id}']" in str(caught.value)
    queued = client.beta.threads.runs.submit_tool_outputs(
        run.id,
        thread_id=thread,
        tool_outputs=[{"tool_call_id": second.id, "output": "2"}, {"tool_call_id": first.id, "output": "1"}],
    )
    assert queued.status == "queued"
    assert queued.expires_at == run.expires_at
    assert client.beta.threads.runs.poll(run.id, thread_id=thread).status == "completed"
    answers = [message["content"] for message in upstream.requests[model][1]["messages"] if message["role"] == "tool"]
    assert answers == ["1", "2"]


def test_a_run_expires(client: OpenAI, server: ServerProcess, upstream: ScriptedUpstream) -> None:
    """Its time is moved in the table: ten minutes are too long for a test."""
    asking = upstream.script(Reply(calls=[("f", {})]))
    talking = upstream.script(Reply(pieces=["begun ", "never"], hold=threading.Event()))
    runs = []
    for model in (asking, talking):
        thread = thread_with(client)
        assistant = assistant_with(client, model, [function("f")])
        runs.append(client.beta.threads.runs.create(thread, assistant_id=assistant))
    wait_for(lambda: _retrieve(client, runs[0]).status == "requires_action")
    wait_for(lambda: client.beta.threads.messages.list(runs[1].thread_id).data[0].role == "assistant")
    with sqlite3.connect(server.data_dir / "understudy.db") as database:
        database.executemany("UPDATE runs SET expires_at = 1 WHERE id = ?", [(run.id,) for run in runs])
    for run in runs:
        wait_for(lambda run=run: _retrieve(client, run).status == "expired")  # type: ignore[misc]
        steps = client.beta.threads.runs.steps.list(run.id, thread_id=run.thread_id).data
        assert [step.status for step in steps] == ["expired"]
        assert steps[0].expired_at is not None
    message = client.beta.threads.messages.list(runs[1].thread_id).data[0].to_dict()
    assert (message["status"], message["incomplete_details"]) == ("incomplete", {"reason": "run_expired"})
    with pytest.raises(openai.BadRequestError, match='Runs in status "expired" do not accept tool outputs.'):
        client.beta.threads.runs.submit_tool_outputs(runs[0].id, thread_id=runs[0].thread_id, tool_outputs=[])


def _retrieve(client: OpenAI, run: Any) -> Any:
    return client.beta.threads.runs.retrieve(run.id, thread_id=run.thread_id)


def test_a_dropped_connection_does_not_end_the_run(
    client: OpenAI, server: ServerProcess, upstream: ScriptedUpstream
) -> None:
    hold = threading.Event()
    model = upstream.script(Reply(pieces=["first ", "second"], hold=hold))
    assistant, thread = assistant_with(client, model), thread_with(client)
    body = {"assistant_id": assistant, "stream": True}
    with httpx.stream("POST", f"{server.url}/threads/{thread}/runs", json=body) as answer:
        next(answer.iter_bytes())
    hold.set()
    (run,) = client.beta.threads.runs.list(thread).data
    assert client.beta.threads.runs.poll(run.id, thread_id=thread).status == "completed"
    (text,) = client.beta.threads.messages.list(thread).data[0].content
    assert text.to_dict()["text"] == {"value": "first second", "annotations": []}


def test_deleting_a_thread_ends_its_run(client: OpenAI, server: ServerProcess, upstream: ScriptedUpstream) -> None:
    model = upstream.script(Reply(pieces=["a", "b"], hold=threading.Event()))
    assistant, thread = assistant_with(client, model), thread_with(client)
    run = client.beta.threads.runs.create(thread, assistant_id=assistant)
    assert client.beta.threads.delete(thread).deleted
    with pytest.raises(openai.NotFoundError):
        client.beta.threads.runs.retrieve(run.id, thread_id=thread)
    assert "Traceback" not in server.log()


def test_budgets(client: OpenAI, upstream: ScriptedUpstream) -> None:
    used = {"prompt_tokens": 50, "completion_tokens": 40, "total_tokens": 90}
    model = upstream.script(Reply(calls=[("f", {})], usage=used), Reply("cut", finish="length", usage=used))
    assistant, thread = assistant_with(client, model, [function("f")]), thread_with(client)
    run = client.beta.threads.runs.create_and_poll(
        thread_id=thread, assistant_id=assistant, max_completion_tokens=100, max_prompt_tokens=1000
    )
    assert run.required_action is not None
    call = run.required_action.submit_tool_outputs.tool_calls[0]
    run = client.beta.threads.runs.submit_tool_outputs_and_poll(
        run_id=run.id, thread_id=thread, tool_outputs=[{"tool_call_id": call.id, "output": "1"}]
    )
    assert run.status == "incomplete"
    assert run.incomplete_details is not None
    assert run.incomplete_details.reason == "max_completion_tokens"
    assert [request["max_completion_tokens"] for request in upstream.requests[model]] == [100, 60]
    message = client.beta.threads.messages.list(thread).data[0]
    assert message.incomplete_details is not None
    assert (message.status, message.incomplete_details.reason) == ("incomplete", "max_tokens")


def test_a_prompt_beyond_its_budget(client: OpenAI, upstream: ScriptedUpstream) -> None:
    model = upstream.script(Reply("never"))
    thread = thread_with(client, "long " * 2000)
    run = client.beta.threads.runs.create_and_poll(
        thread_id=thread, assistant_id=assistant_with(client, model), max_prompt_tokens=256
    )
    assert run.status == "incomplete"
    assert run.incomplete_details is not None
    assert run.incomplete_details.reason == "max_prompt_tokens"
    assert upstream.requests[model] == []


def test_rounds_are_bounded(client: OpenAI, upstream: ScriptedUpstream) -> None:
    code = Reply(calls=[("made_up", {})])
    model = upstream.script(*[code] * 40)
    thread = thread_with(client)
    assistant = assistant_with(client, model, [function("f")])
    run = client.beta.threads.runs.create_and_poll(thread_id=thread, assistant_id=assistant)
    assert run.status == "failed"
    assert run.last_error is not None
    assert "32 rounds" in run.last_error.message
    assert len(upstream.requests[model]) == 32


def test_list_and_modify(client: OpenAI, upstream: ScriptedUpstream) -> None:
    model = upstream.script(Reply("a"), Reply("b"))
    assistant, thread = assistant_with(client, model), thread_with(client)
    runs = [client.beta.threads.runs.create_and_poll(thread_id=thread, assistant_id=assistant) for _ in range(2)]
    assert [run.id for run in client.beta.threads.runs.list(thread)] == [run.id for run in reversed(runs)]
    changed = client.beta.threads.runs.update(runs[0].id, thread_id=thread, metadata={"seen": "yes"})
    assert changed.metadata == {"seen": "yes"}
    (step,) = client.beta.threads.runs.steps.list(runs[0].id, thread_id=thread).data
    assert client.beta.threads.runs.steps.retrieve(step.id, run_id=runs[0].id, thread_id=thread) == step
    assert client.beta.threads.runs.with_raw_response.retrieve(runs[0].id, thread_id=thread).headers[
        "openai-poll-after-ms"
    ]
    listed = client.beta.threads.messages.list(thread, run_id=runs[1].id).data
    assert [message.run_id for message in listed] == [runs[1].id]
