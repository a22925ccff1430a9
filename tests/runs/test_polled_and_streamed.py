"""The polled and the streamed form of one scripted run are equal but for ids and times, whatever becomes of the run."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from openai import OpenAI

from tests.runs.streams import CODE, JSON, assistant_with, function, thread_with
from tests.runs.test_lifecycle import wait_for
from tests.scripted_upstream import Reply, ScriptedUpstream
from tests.vector_stores import LOOMS, filled_store

PRINTS = ("code_interpreter", {"code": "print(6 * 7)"})
SEARCHES = ("file_search", {"query": "what holds the warp?"})
NO = Reply(status=400, body={"error": {"message": "no"}})


@dataclass
class Kind:
    """What the model says, with which tools; `cancelled` once it has begun."""

    replies: Callable[[], list[Reply]]
    tools: list[JSON] = field(default_factory=list)
    status: str = "completed"
    cancelled: bool = False


KINDS = {
    "text": Kind(lambda: [Reply(pieces=["Hel", "lo."])]),
    "function": Kind(lambda: [Reply(calls=[("f", {"x": 1})]), Reply("Done.")], [function("f")]),
    "parallel functions": Kind(
        lambda: [Reply(calls=[("f", {"x": 1}), ("g", {})]), Reply("Done.")], [function("f"), function("g")]
    ),
    "two rounds": Kind(lambda: [Reply(calls=[("f", {})]), Reply(calls=[("f", {})]), Reply("Done.")], [function("f")]),
    "code": Kind(lambda: [Reply(calls=[PRINTS]), Reply("42.")], [CODE]),
    "text, then code": Kind(lambda: [Reply("Let me see.", calls=[PRINTS]), Reply("42.")], [CODE]),
    "search": Kind(lambda: [Reply(calls=[SEARCHES]), Reply("A loom【0:0†0.txt】.")], [{"type": "file_search"}]),
    "code and function": Kind(lambda: [Reply(calls=[("f", {"x": 1}), PRINTS]), Reply("Done.")], [function("f"), CODE]),
    "cancelled": Kind(lambda: [Reply("begun", hold=threading.Event())], status="cancelled", cancelled=True),
    "failed": Kind(lambda: [NO], status="failed"),
    "failed after a message": Kind(
        lambda: [Reply(chunks=[{"choices": [{"delta": {"content": "Hel"}}]}, "{broken"])], status="failed"
    ),
    "incomplete": Kind(lambda: [Reply("Half of", finish="length")], status="incomplete"),
    "refusal": Kind(lambda: [Reply(chunks=[{"choices": [{"delta": {"refusal": "No."}, "finish_reason": "stop"}]}])]),
}


@dataclass
class Outcome:
    """What there is of a run once it has ended."""

    run: JSON
    steps: list[JSON]
    messages: list[JSON]


@pytest.fixture(scope="module")
def store(client: OpenAI) -> str:
    return filled_store(client, LOOMS)[0].id


@pytest.mark.parametrize("kind", KINDS)
def test_polled_and_streamed_agree(kind: str, client: OpenAI, upstream: ScriptedUpstream, store: str) -> None:
    def assistant() -> str:
        resources = {"file_search": {"vector_store_ids": [store]}} if kind == "search" else {}
        model = upstream.script(*KINDS[kind].replies())
        return assistant_with(client, model, KINDS[kind].tools, tool_resources=resources)

    polled = _polled(client, assistant(), KINDS[kind])
    streamed, messages, steps = _streamed(client, assistant(), KINDS[kind])
    assert polled.run["status"] == KINDS[kind].status
    assert _anonymous(polled.run) == _anonymous(streamed.run)
    assert _anonymous(polled.steps) == _anonymous(streamed.steps)
    assert _anonymous(polled.messages) == _anonymous(streamed.messages)
    # What the official helper put together from the deltas is what is stored.
    assert messages == streamed.messages
    assert _calls(steps) == _calls(streamed.steps)
    if kind == "search":
        assert streamed.messages[0]["content"][0]["text"]["annotations"][0]["type"] == "file_citation"


def _polled(client: OpenAI, assistant: str, kind: Kind) -> Outcome:
    thread = thread_with(client)
    if kind.cancelled:
        client.beta.threads.runs.create(thread_id=thread, assistant_id=assistant)
        run = _cancel(client, thread)
    else:
        run = client.beta.threads.runs.create_and_poll(thread_id=thread, assistant_id=assistant)
    while run.status == "requires_action":
        run = client.beta.threads.runs.submit_tool_outputs_and_poll(
            run_id=run.id, thread_id=thread, tool_outputs=_outputs(run)
        )
    return _stored(client, thread, run.id)


def _cancel(client: OpenAI, thread: str) -> Any:
    wait_for(lambda: _has_answer(client, thread))
    (run,) = client.beta.threads.runs.list(thread).data
    client.beta.threads.runs.cancel(run.id, thread_id=thread)
    return client.beta.threads.runs.poll(run.id, thread_id=thread)


def _streamed(client: OpenAI, assistant: str, kind: Kind) -> tuple[Outcome, list[JSON], list[JSON]]:
    """What is stored, and the messages and steps as the official helper accumulated them."""
    thread = thread_with(client)
    steps: dict[str, JSON] = {}
    messages: list[JSON] = []
    canceller = threading.Thread(target=_cancel, args=(client, thread))
    if kind.cancelled:
        canceller.start()
    opened: Any = client.beta.threads.runs.stream(thread_id=thread, assistant_id=assistant)
    while True:
        with opened as stream:
            run = stream.get_final_run()
            if _has_answer(client, thread):
                messages += [message.to_dict() for message in stream.get_final_messages()]
            if client.beta.threads.runs.steps.list(run.id, thread_id=thread).data:
                steps |= {step.id: step.to_dict() for step in stream.get_final_run_steps()}
        if run.status != "requires_action":
            break
        opened = client.beta.threads.runs.submit_tool_outputs_stream(
            run_id=run.id, thread_id=thread, tool_outputs=_outputs(run)
        )
    if kind.cancelled:
        canceller.join()
    return _stored(client, thread, run.id), messages, list(steps.values())


def _has_answer(client: OpenAI, thread: str) -> bool:
    return any(message.role == "assistant" for message in client.beta.threads.messages.list(thread))


def _outputs(run: Any) -> list[Any]:
    calls = run.required_action.submit_tool_outputs.tool_calls
    return [{"tool_call_id": call.id, "output": f"{call.function.name} says 1"} for call in calls]


def _stored(client: OpenAI, thread: str, run_id: str) -> Outcome:
    steps = client.beta.threads.runs.steps.list(run_id, thread_id=thread, order="asc")
    messages = client.beta.threads.messages.list(thread, order="asc", run_id=run_id)
    return Outcome(
        client.beta.threads.runs.retrieve(run_id, thread_id=thread).to_dict(),
        [step.to_dict() for step in steps],
        [message.to_dict() for message in messages],
    )


def _calls(steps: list[JSON]) -> list[JSON]:
    """The tool calls of steps, as far as deltas tell of them: not of outputs and search results [R]."""
    calls = []
    for step in steps:
        for call in step["step_details"].get("tool_calls", []):
            told = {name: value for name, value in call[call["type"]].items() if name not in ("output", "results")}
            told["outputs"] = [
                {name: value for name, value in output.items() if name != "index"} for output in told.get("outputs", [])
            ]
            calls.append({"id": call["id"], "type": call["type"], **told})
    return calls


def _anonymous(value: Any) -> Any:
    """Without ids and times."""
    if isinstance(value, dict):
        hidden = ("id", "_id", "_at", "model")
        return {key: (one is None) if key.endswith(hidden) else _anonymous(one) for key, one in value.items()}
    return [_anonymous(one) for one in value] if isinstance(value, list) else value
