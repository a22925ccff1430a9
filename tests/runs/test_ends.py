"""How streams end: cancelled, failed, incomplete and expired, wherever the run was at that moment."""

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
from openai import OpenAI

from tests.runs.streams import CODE, Events, assistant_with, function, stream, thread_with
from tests.runs.test_event_order import BEGIN, MESSAGE, STEP
from tests.runs.test_lifecycle import wait_for
from tests.scripted_upstream import JSON, Reply, ScriptedUpstream
from tests.server_process import ServerProcess

OPEN_MESSAGE = [*STEP, "message.created", "message.in_progress", "message.delta"]
CALL = [*STEP, "run.step.delta"]
NO = Reply(status=400, body={"error": {"message": "no"}})
BROKEN = "{broken"


def _silent() -> Reply:
    return Reply(chunks=[{"choices": []}], hold=threading.Event())


def _talking() -> Reply:
    return Reply(pieces=["begun ", "never"], hold=threading.Event())


def _calling() -> Reply:
    return Reply(calls=[("f", {"city": "Paris"})], hold=threading.Event())


def _computing() -> Reply:
    return Reply(calls=[("code_interpreter", {"code": "import time\ntime.sleep(50)"})])


def _text(piece: str) -> JSON:
    return {"choices": [{"index": 0, "delta": {"content": piece}}]}


def _call() -> JSON:
    function = {"name": "f", "arguments": '{"city'}
    return {"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "id": "call_1", "function": function}]}}]}


class Stage:
    """An assistant and a thread, and what happens to its run while it is streamed."""

    def __init__(self, client: OpenAI, server: ServerProcess, upstream: ScriptedUpstream, *replies: Reply) -> None:
        self.client, self.server, self.upstream = client, server, upstream
        self.model = upstream.script(*replies)
        self.assistant = assistant_with(client, self.model, [function("f"), CODE])
        self.thread = thread_with(client)

    def run(self, **settings: Any) -> Events:
        """The events of a run."""
        return stream(self.server, f"/threads/{self.thread}/runs", assistant_id=self.assistant, **settings)

    def run_until(self, begun: list[str], do: Callable[[str], object], *path: str, **body: Any) -> Events:
        """The events of a run, or of what `path` continues, to which `do` is done once it has come that far."""

        def work() -> None:
            wait_for(lambda: self.has_begun(begun), 20)
            (run,) = self.client.beta.threads.runs.list(self.thread, limit=1).data
            do(run.id)

        worker = threading.Thread(target=work)
        worker.start()
        events = (
            stream(self.server, f"/threads/{self.thread}/runs/{'/'.join(path)}", **body) if path else self.run(**body)
        )
        worker.join()
        return events

    def has_begun(self, begun: list[str]) -> bool:
        """Whether the model was asked, and what it began is there."""
        runs = self.client.beta.threads.runs.list(self.thread, limit=1).data
        if not runs or runs[0].status != "in_progress" or not self.upstream.requests[self.model]:
            return False
        steps = self.client.beta.threads.runs.steps.list(runs[0].id, thread_id=self.thread).data
        return [step.type for step in steps if step.status == "in_progress"] == begun

    def cancel(self, run_id: str) -> None:
        """As its client would."""
        assert self.client.beta.threads.runs.cancel(run_id, thread_id=self.thread).status == "cancelling"

    def expire(self, run_id: str) -> None:
        """Its time is moved in the table: ten minutes are too long for a test."""
        with closing(sqlite3.connect(self.server.data_dir / "understudy.db", timeout=10)) as database, database:
            database.execute("UPDATE runs SET expires_at = 1 WHERE id = ?", [run_id])


MakeStage = Callable[..., Stage]


@pytest.fixture
def stage(client: OpenAI, server: ServerProcess, upstream: ScriptedUpstream) -> MakeStage:
    return lambda *replies: Stage(client, server, upstream, *replies)


# What the model does, the steps that are open then, and the events until then and those of breaking off.
MOMENTS: dict[str, tuple[Callable[[], Reply], list[str], list[str], list[str]]] = {
    "before the model answers": (_silent, [], [], []),
    "while it writes": (_talking, ["message_creation"], OPEN_MESSAGE, ["message.incomplete", "run.step.{end}"]),
    "while it calls a function": (_calling, ["tool_calls"], CALL, ["run.step.{end}"]),
    "while code runs": (_computing, ["tool_calls"], CALL, ["run.step.{end}"]),
}
moments = pytest.mark.parametrize("moment", MOMENTS)


@moments
@pytest.mark.event("thread.run.cancelling", "thread.run.cancelled")
def test_cancelled(stage: MakeStage, moment: str) -> None:
    reply, begun, before, after = MOMENTS[moment]
    scene = stage(reply())
    events = scene.run_until(begun, scene.cancel)
    broken_off = [name.format(end="cancelled") for name in after]
    assert events.collapsed() == [*BEGIN, *before, "run.cancelling", *broken_off, "run.cancelled", "done"]
    (cancelling,), (cancelled,) = events.of("thread.run.cancelling"), events.of("thread.run.cancelled")
    assert (cancelling["status"], cancelling["cancelled_at"]) == ("cancelling", None)
    assert (cancelled["status"], cancelled["cancelled_at"] is None) == ("cancelled", False)
    assert (cancelled["last_error"], cancelled["expires_at"], cancelled["required_action"]) == (None, None, None)
    _as_stored(scene, events)


@pytest.mark.event("thread.message.incomplete", "thread.run.step.cancelled")
def test_cancelled_after_tool_outputs(stage: MakeStage) -> None:
    """The stream of submit_tool_outputs; the one before ended with requires_action."""
    scene = stage(Reply(calls=[("f", {})]), _talking())
    (run,) = scene.run().of("thread.run.requires_action")
    call = run["required_action"]["submit_tool_outputs"]["tool_calls"][0]["id"]
    outputs = [{"tool_call_id": call, "output": "1"}]
    path = (run["id"], "submit_tool_outputs")
    events = scene.run_until(["message_creation"], scene.cancel, *path, tool_outputs=outputs)
    begin = ["run.step.completed", "run.queued", "run.in_progress", *OPEN_MESSAGE]
    end = ["run.cancelling", "message.incomplete", "run.step.cancelled", "run.cancelled", "done"]
    assert events.collapsed() == [*begin, *end]
    (message,), (step,) = events.of("thread.message.incomplete"), events.of("thread.run.step.cancelled")
    assert (message["status"], message["incomplete_details"]) == ("incomplete", {"reason": "run_cancelled"})
    assert (message["incomplete_at"] is None, message["completed_at"]) == (False, None)
    assert message["content"] == [{"type": "text", "text": {"value": "begun never", "annotations": []}}]
    assert (step["status"], step["cancelled_at"] is None, step["last_error"]) == ("cancelled", False, None)
    _as_stored(scene, events)


@pytest.mark.event("thread.run.failed")
@pytest.mark.parametrize(
    ("reply", "before", "after"),
    [
        (NO, [], []),
        (Reply(chunks=[BROKEN]), [], []),
        (Reply(chunks=[_text("Hel"), BROKEN]), OPEN_MESSAGE, ["message.incomplete", "run.step.failed"]),
        (Reply(chunks=[_call(), BROKEN]), CALL, ["run.step.failed"]),
    ],
    ids=["refused", "before it answers", "while it writes", "while it calls a function"],
)
def test_failed(stage: MakeStage, reply: Reply, before: list[str], after: list[str]) -> None:
    scene = stage(reply)
    events = scene.run()
    assert events.collapsed() == [*BEGIN, *before, *after, "run.failed", "done"]
    (run,) = events.of("thread.run.failed")
    assert (run["status"], run["failed_at"] is None, run["completed_at"]) == ("failed", False, None)
    assert run["last_error"]["code"] == "server_error"
    assert run["last_error"]["message"]
    _as_stored(scene, events)


@pytest.mark.event("thread.run.step.failed", "thread.message.incomplete")
def test_failed_while_it_wrote(stage: MakeStage) -> None:
    scene = stage(
        Reply("First.", calls=[("code_interpreter", {"code": "print(1)"})]), Reply(chunks=[_text("x"), BROKEN])
    )
    events = scene.run()
    code = [*CALL, "run.step.completed"]
    broken_off = [*OPEN_MESSAGE, "message.incomplete", "run.step.failed", "run.failed", "done"]
    assert events.collapsed() == [*BEGIN, *MESSAGE, *code, *broken_off]
    (message,), (step,) = events.of("thread.message.incomplete"), events.of("thread.run.step.failed")
    assert (message["incomplete_details"], message["content"][0]["text"]["value"]) == ({"reason": "run_failed"}, "x")
    assert (step["status"], step["failed_at"] is None) == ("failed", False)
    assert step["last_error"] == events.of("thread.run.failed")[0]["last_error"]
    _as_stored(scene, events)


def test_failed_for_too_many_requests(stage: MakeStage) -> None:
    """The step knows this code too."""
    limited = Reply(status=429, body={"error": {"message": "slow down"}}, headers={"retry-after": "0"})
    events = stage(*[limited] * 8).run()
    assert events.collapsed() == [*BEGIN, "run.failed", "done"]
    assert events.of("thread.run.failed")[0]["last_error"]["code"] == "rate_limit_exceeded"


def test_stopped_by_the_content_filter(stage: MakeStage) -> None:
    scene = stage(Reply("Some of it", finish="content_filter"))
    events = scene.run()
    assert events.collapsed() == [*BEGIN, *OPEN_MESSAGE, "message.incomplete", "run.step.failed", "run.failed", "done"]
    assert events.of("thread.message.incomplete")[0]["incomplete_details"] == {"reason": "content_filter"}
    _as_stored(scene, events)


@pytest.mark.event("thread.run.incomplete", "thread.message.incomplete")
def test_incomplete_for_its_completion_tokens(stage: MakeStage) -> None:
    scene = stage(Reply("Half of", finish="length"))
    events = scene.run(max_completion_tokens=100)
    end = ["message.incomplete", "run.step.completed", "run.incomplete", "done"]
    assert events.collapsed() == [*BEGIN, *OPEN_MESSAGE, *end]
    (message,), (run,) = events.of("thread.message.incomplete"), events.of("thread.run.incomplete")
    assert (message["status"], message["incomplete_details"]) == ("incomplete", {"reason": "max_tokens"})
    assert message["content"][0]["text"]["value"] == "Half of"
    assert (run["status"], run["incomplete_details"]) == ("incomplete", {"reason": "max_completion_tokens"})
    assert (run["usage"]["total_tokens"], run["last_error"], run["completed_at"]) == (15, None, None)
    _as_stored(scene, events)


def test_incomplete_for_its_prompt_tokens(stage: MakeStage) -> None:
    scene = stage()
    scene.client.beta.threads.messages.create(scene.thread, role="user", content="long " * 2000)
    events = scene.run(max_prompt_tokens=256)
    assert events.collapsed() == [*BEGIN, "run.incomplete", "done"]
    assert events.of("thread.run.incomplete")[0]["incomplete_details"] == {"reason": "max_prompt_tokens"}
    _as_stored(scene, events)


@moments
@pytest.mark.event("thread.run.expired")
def test_expired(stage: MakeStage, moment: str) -> None:
    reply, begun, before, after = MOMENTS[moment]
    scene = stage(reply())
    events = scene.run_until(begun, scene.expire)
    broken_off = [name.format(end="expired") for name in after]
    assert events.collapsed() == [*BEGIN, *before, *broken_off, "run.expired", "done"]
    (run,) = events.of("thread.run.expired")
    assert (run["status"], run["last_error"], run["completed_at"], run["expires_at"]) == ("expired", None, None, None)
    for message in events.of("thread.message.incomplete"):
        assert message["incomplete_details"] == {"reason": "run_expired"}
    _as_stored(scene, events)


@pytest.mark.event("thread.run.step.expired")
def test_expired_in_a_step(stage: MakeStage) -> None:
    scene = stage(_talking())
    events = scene.run_until(["message_creation"], scene.expire)
    (step,) = events.of("thread.run.step.expired")
    assert (step["status"], step["expired_at"] is None, step["expires_at"]) == ("expired", False, None)


def _as_stored(scene: Stage, events: Events) -> None:
    """The last that the stream told of the run, its steps and messages is what is stored."""
    told = {one["id"]: one for one in events.objects if isinstance(one, dict) and not one["object"].endswith(".delta")}
    runs, client = scene.client.beta.threads.runs, scene.client
    (run,) = runs.list(scene.thread).data
    steps = runs.steps.list(run.id, thread_id=scene.thread).data
    messages = client.beta.threads.messages.list(scene.thread, run_id=run.id).data
    stored: list[Any] = [run, *steps, *messages]
    for one in stored:
        assert told[one.id] == one.to_dict()
