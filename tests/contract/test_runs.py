"""Runs and their steps through the official client: what they echo, in which order, with which defaults."""

from typing import Any

import pytest
from openai import OpenAI

from tests.runs.streams import assistant_with, function, thread_with
from tests.scripted_upstream import Reply, ScriptedUpstream
from tests.vector_stores import LOOMS, filled_store

CONTENT = "step_details.tool_calls[*].file_search.results[*].content"


@pytest.mark.operation("createRun", "getRun", "modifyRun")
def test_a_run_with_everything_set(client: OpenAI, upstream: ScriptedUpstream) -> None:
    model = upstream.script(Reply("Hi."))
    assistant, thread = assistant_with(client, "another"), thread_with(client)
    runs = client.beta.threads.runs
    run = runs.create(
        thread,
        assistant_id=assistant,
        model=model,
        instructions="Be brief.",
        additional_instructions="Be kind.",
        additional_messages=[{"role": "user", "content": "more", "metadata": {"n": "1"}}],
        tools=[{"type": "function", "function": {"name": "f"}}],
        metadata={"a": "1"},
        temperature=0.2,
        top_p=0.3,
        reasoning_effort="low",
        max_prompt_tokens=5000,
        max_completion_tokens=500,
        truncation_strategy={"type": "last_messages", "last_messages": 2},
        tool_choice={"type": "function", "function": {"name": "f"}},
        parallel_tool_calls=False,
        response_format={"type": "json_object"},
    )
    body = run.to_dict()
    given = {"id": run.id, "created_at": run.created_at, "thread_id": thread, "assistant_id": assistant, "model": model}
    assert body == given | {
        "object": "thread.run",
        "status": "queued",
        "started_at": None,
        "expires_at": run.created_at + 600,
        "cancelled_at": None,
        "failed_at": None,
        "completed_at": None,
        "required_action": None,
        "last_error": None,
        "instructions": "Be brief.\nBe kind.",
        "tools": [
            {
                "type": "function",
                "function": {"name": "f", "parameters": {"type": "object", "properties": {}}, "strict": False},
            }
        ],
        "tool_resources": {},
        "metadata": {"a": "1"},
        "temperature": 0.2,
        "top_p": 0.3,
        "reasoning_effort": "low",
        "max_completion_tokens": 500,
        "max_prompt_tokens": 5000,
        "truncation_strategy": {"type": "last_messages", "last_messages": 2},
        "incomplete_details": None,
        "usage": None,
        "response_format": {"type": "json_object"},
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "parallel_tool_calls": False,
    }
    done = runs.poll(run.id, thread_id=thread)
    assert (done.status, done.expires_at, done.completed_at is None, done.started_at is None) == (
        *("completed", None),
        *(False, False),
    )
    assert done.usage is not None
    assert done.usage.to_dict() == {
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "total_tokens": 15,
        "prompt_token_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }
    changed = runs.update(run.id, thread_id=thread, metadata={"b": "2"})
    assert changed.to_dict() == done.to_dict() | {"metadata": {"b": "2"}}
    assert runs.retrieve(run.id, thread_id=thread) == changed
    texts = [message.metadata for message in client.beta.threads.messages.list(thread, order="asc")]
    assert texts == [{}, {"n": "1"}, {}]


def test_the_defaults_of_a_run(client: OpenAI, upstream: ScriptedUpstream) -> None:
    model = upstream.script(Reply("Hi."))
    assistant = assistant_with(client, model, [function("f")], temperature=0.5, metadata={"a": "1"})
    run = client.beta.threads.runs.create_and_poll(thread_id=thread_with(client), assistant_id=assistant)
    runs = client.beta.threads.runs
    assert _fields(runs.with_raw_response.retrieve(run.id, thread_id=run.thread_id)) == [
        *("id", "object", "created_at", "assistant_id", "thread_id", "status", "started_at", "expires_at"),
        *("cancelled_at", "failed_at", "completed_at", "required_action", "last_error", "model", "instructions"),
        *("tools", "tool_resources", "metadata", "temperature", "top_p", "reasoning_effort", "max_completion_tokens"),
        *("max_prompt_tokens", "truncation_strategy", "incomplete_details", "usage", "response_format"),
        *("tool_choice", "parallel_tool_calls"),
    ]
    assert (run.model, run.instructions, run.metadata, run.temperature, run.top_p) == (model, "Help.", {}, 0.5, 1.0)
    assert (run.tool_choice, run.response_format, run.parallel_tool_calls) == ("auto", "auto", True)
    assert run.truncation_strategy is not None
    assert run.truncation_strategy.to_dict() == {"type": "auto", "last_messages": None}
    (message,) = client.beta.threads.messages.list(run.thread_id, run_id=run.id).data
    messages = client.beta.threads.messages.with_raw_response
    assert _fields(messages.retrieve(message.id, thread_id=run.thread_id)) == [
        *("id", "object", "created_at", "assistant_id", "thread_id", "run_id", "status", "incomplete_details"),
        *("incomplete_at", "completed_at", "role", "content", "attachments", "metadata"),
    ]
    assert (message.role, message.assistant_id, message.run_id) == ("assistant", assistant, run.id)
    (step,) = runs.steps.list(run.id, thread_id=run.thread_id).data
    assert _fields(runs.steps.with_raw_response.retrieve(step.id, run_id=run.id, thread_id=run.thread_id)) == [
        *("id", "object", "created_at", "run_id", "assistant_id", "thread_id", "type", "status", "cancelled_at"),
        *("completed_at", "expired_at", "expires_at", "failed_at", "last_error", "step_details", "usage", "metadata"),
    ]
    assert step.step_details.to_dict() == {
        "type": "message_creation",
        "message_creation": {"message_id": message.id},
    }


@pytest.mark.operation("createThreadAndRun", "submitToolOuputsToRun")
def test_a_thread_and_its_run(client: OpenAI, upstream: ScriptedUpstream) -> None:
    model = upstream.script(Reply(calls=[("f", {"x": 1})]), Reply("Done."))
    assistant = assistant_with(client, model, [function("f")])
    run = client.beta.threads.create_and_run_poll(
        assistant_id=assistant,
        metadata={"of": "run"},
        thread={"messages": [{"role": "user", "content": "hi"}], "metadata": {"of": "thread"}},
    )
    assert (run.status, run.metadata) == ("requires_action", {"of": "run"})
    assert client.beta.threads.retrieve(run.thread_id).metadata == {"of": "thread"}
    assert run.required_action is not None
    (call,) = run.required_action.submit_tool_outputs.tool_calls
    assert (call.type, call.function.name, call.function.arguments) == ("function", "f", '{"x":1}')
    queued = client.beta.threads.runs.submit_tool_outputs(
        run.id, thread_id=run.thread_id, tool_outputs=[{"tool_call_id": call.id, "output": "2"}]
    )
    assert (queued.status, queued.required_action, queued.expires_at) == ("queued", None, run.expires_at)
    assert client.beta.threads.runs.poll(run.id, thread_id=run.thread_id).status == "completed"
    steps: list[Any] = client.beta.threads.runs.steps.list(run.id, thread_id=run.thread_id, order="asc").data
    assert [(step.type, step.status) for step in steps] == [
        ("tool_calls", "completed"),
        ("message_creation", "completed"),
    ]
    assert steps[0].step_details.tool_calls[0].to_dict() == {
        "id": call.id,
        "type": "function",
        "function": {"name": "f", "arguments": '{"x":1}', "output": "2"},
    }


@pytest.mark.operation("createRun", "listRunSteps", "getRunStep")
def test_include(client: OpenAI, upstream: ScriptedUpstream) -> None:
    store, _ = filled_store(client, LOOMS)
    model = upstream.script(Reply(calls=[("file_search", {"query": "warp"})]), Reply("Done."))
    resources: Any = {"file_search": {"vector_store_ids": [store.id]}}
    assistant = assistant_with(client, model, [{"type": "file_search"}], tool_resources=resources)
    thread, steps = thread_with(client), client.beta.threads.runs.steps
    run = client.beta.threads.runs.create(thread, assistant_id=assistant, include=[CONTENT])  # type: ignore[list-item]
    client.beta.threads.runs.poll(run.id, thread_id=thread)

    def results(step: Any) -> Any:
        return step.step_details.tool_calls[0].to_dict()["file_search"]["results"]

    listed = steps.list(run.id, thread_id=thread, order="asc").data[0]
    plain = steps.retrieve(listed.id, run_id=run.id, thread_id=thread)
    assert results(listed) == results(plain)
    assert [set(result) for result in results(plain)] == [{"file_id", "file_name", "score", "attributes"}]
    for include in ([CONTENT], [CONTENT, CONTENT]):
        step = steps.retrieve(listed.id, run_id=run.id, thread_id=thread, include=include)  # type: ignore[arg-type]
        assert results(step)[0]["content"] == [{"type": "text", "text": LOOMS}]
        again = steps.list(run.id, thread_id=thread, order="asc", include=include).data[0]  # type: ignore[arg-type]
        assert again == step


@pytest.mark.operation("cancelRun", "listRuns")
def test_cancel(client: OpenAI, upstream: ScriptedUpstream) -> None:
    model = upstream.script(Reply(calls=[("f", {})]))
    assistant, thread = assistant_with(client, model, [function("f")]), thread_with(client)
    runs = client.beta.threads.runs
    run = runs.create_and_poll(thread_id=thread, assistant_id=assistant)
    cancelling = runs.cancel(run.id, thread_id=thread)
    assert cancelling.to_dict() == run.to_dict() | {"status": "cancelling", "required_action": None}
    done = runs.poll(run.id, thread_id=thread)
    assert (done.status, done.cancelled_at is None, done.expires_at) == ("cancelled", False, None)
    assert runs.list(thread).data == [done]


def _fields(raw: Any) -> list[str]:
    """As they come, which the client puts in its own order."""
    return list(raw.http_response.json())
