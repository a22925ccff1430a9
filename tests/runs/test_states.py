"""What each state of a run allows and refuses. The state is set in the table: some last for moments only."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import openai
import pytest
from openai import OpenAI
from openai.types.beta.threads import Run
from sqlalchemy.orm import Session

from tests.runs.streams import assistant_with, function, thread_with
from tests.runs.test_lifecycle import wait_for
from tests.scripted_upstream import Reply, ScriptedUpstream
from tests.server_process import ServerProcess
from understudy import tables
from understudy.crud import get_or_404
from understudy.database import Database
from understudy.errors import BadRequestError
from understudy.runs import lifecycle
from understudy.schemas.runs import RunCreate

ACTIVE = ["queued", "in_progress", "requires_action", "cancelling"]
ENDED = ["cancelled", "failed", "completed", "incomplete", "expired"]


class Waiting:
    """A run that waits for the outputs of two functions, and may be said to be in another state."""

    def __init__(self, client: OpenAI, server: ServerProcess, upstream: ScriptedUpstream) -> None:
        model = upstream.script(Reply(calls=[("f", {}), ("g", {})]), Reply("Done."))
        self._server, self._client = server, client
        self.assistant = assistant_with(client, model, [function("f"), function("g")])
        self.run: Run = client.beta.threads.runs.create_and_poll(
            thread_id=thread_with(client), assistant_id=self.assistant
        )
        assert self.run.required_action is not None
        self.calls = [call.id for call in self.run.required_action.submit_tool_outputs.tool_calls]

    @property
    def thread(self) -> str:
        return self.run.thread_id

    def set(self, status: str) -> None:
        with closing(sqlite3.connect(self._server.data_dir / "understudy.db", timeout=10)) as database, database:
            database.execute("UPDATE runs SET status = ? WHERE id = ?", [status, self.run.id])

    def submit(self, *calls: str) -> Run:
        outputs: Any = [{"tool_call_id": call, "output": "1"} for call in calls]
        return self._client.beta.threads.runs.submit_tool_outputs(
            self.run.id, thread_id=self.thread, tool_outputs=outputs
        )


@pytest.fixture
def waiting(client: OpenAI, server: ServerProcess, upstream: ScriptedUpstream) -> Iterator[Waiting]:
    waiting = Waiting(client, server, upstream)
    yield waiting
    waiting.set("cancelled")


def _refused(caught: pytest.ExceptionInfo[openai.BadRequestError], message: str, param: str | None = None) -> None:
    error = {"message": message, "type": "invalid_request_error", "param": param, "code": None}
    assert (caught.value.status_code, caught.value.body) == (400, error)


@pytest.mark.parametrize("status", [*ACTIVE, *ENDED])
def test_cancel(client: OpenAI, waiting: Waiting, status: str) -> None:
    waiting.set(status)
    cancel = client.beta.threads.runs.cancel
    if status in ("queued", "in_progress", "requires_action"):
        assert cancel(waiting.run.id, thread_id=waiting.thread).status == "cancelling"
        wait_for(lambda: client.beta.threads.runs.list(waiting.thread).data[0].status == "cancelled")
        (step,) = client.beta.threads.runs.steps.list(waiting.run.id, thread_id=waiting.thread).data
        assert (step.status, step.cancelled_at is not None) == ("cancelled", True)
        ended = client.beta.threads.runs.retrieve(waiting.run.id, thread_id=waiting.thread)
        assert (ended.cancelled_at is not None, ended.expires_at, ended.required_action) == (True, None, None)
    else:
        with pytest.raises(openai.BadRequestError) as caught:
            cancel(waiting.run.id, thread_id=waiting.thread)
        _refused(caught, f"Cannot cancel run with status '{status}'.")
        assert client.beta.threads.runs.retrieve(waiting.run.id, thread_id=waiting.thread).status == status


@pytest.mark.parametrize("status", [*ACTIVE, *ENDED])
def test_submit(client: OpenAI, waiting: Waiting, status: str) -> None:
    waiting.set(status)
    if status == "requires_action":
        assert waiting.submit(*waiting.calls).status == "queued"
        assert client.beta.threads.runs.poll(waiting.run.id, thread_id=waiting.thread).status == "completed"
    else:
        with pytest.raises(openai.BadRequestError) as caught:
            waiting.submit(*waiting.calls)
        _refused(caught, f'Runs in status "{status}" do not accept tool outputs.')


def test_outputs_given_twice(waiting: Waiting) -> None:
    first, second = waiting.calls
    with pytest.raises(openai.BadRequestError) as caught:
        waiting.submit(first, first, second)
    _refused(caught, f"Duplicate tool outputs for call_ids ['{first}', '{first}', '{second}']", "tool_outputs")


def test_outputs_of_other_calls(waiting: Waiting) -> None:
    first, second = waiting.calls
    for given in ((first,), (first, "call_none"), (first, second, "call_none"), ()):
        with pytest.raises(openai.BadRequestError) as caught:
            waiting.submit(*given)
        _refused(caught, f"Expected tool outputs for call_ids ['{first}', '{second}'], got {list(given)}")


@pytest.mark.parametrize("status", [*ACTIVE, *ENDED])
def test_a_locked_thread(client: OpenAI, waiting: Waiting, status: str) -> None:
    waiting.set(status)
    thread, run = waiting.thread, waiting.run.id
    add, start = client.beta.threads.messages.create, client.beta.threads.runs.create
    if status in ACTIVE:
        with pytest.raises(openai.BadRequestError) as caught:
            add(thread, role="user", content="more")
        _refused(caught, f"Can't add messages to {thread} while a run {run} is active.")
        with pytest.raises(openai.BadRequestError) as caught:
            start(thread, assistant_id=waiting.assistant)
        _refused(caught, f"Thread {thread} already has an active run {run}.")
        with pytest.raises(openai.BadRequestError) as caught:
            start(thread, assistant_id=waiting.assistant, additional_messages=[{"role": "user", "content": "more"}])
        assert len(client.beta.threads.messages.list(thread).data) == 1
    else:
        assert add(thread, role="user", content="more").thread_id == thread
        assert start(thread, assistant_id=waiting.assistant).status == "queued"
        client.beta.threads.runs.poll(client.beta.threads.runs.list(thread).data[0].id, thread_id=thread)


def test_a_thread_that_is_locked_at_the_same_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On PostgreSQL two requests may both find the thread free: the index refuses the second run."""
    monkeypatch.setattr(lifecycle, "active_run", lambda *_: None)
    database = Database(f"sqlite:///{tmp_path / 'understudy.db'}")
    database.migrate()

    def prepare(session: Session) -> None:
        assistant = tables.Assistant(id="asst_1", created_at=1, model="m", instructions="Be brief.")
        session.add_all([assistant, tables.Thread(id="thread_1", created_at=1)])

    def run_twice(session: Session) -> None:
        thread = get_or_404(session, tables.Thread, "thread_1")
        for _ in range(2):
            lifecycle.insert_run(session, thread, RunCreate(assistant_id="asst_1"))

    anyio.run(database.write, prepare)
    with pytest.raises(BadRequestError, match="^Thread thread_1 already has an active run.$"):
        anyio.run(database.write, run_twice)
    database.close()


@pytest.mark.parametrize("status", [*ACTIVE, *ENDED])
def test_metadata_can_be_modified_in_every_state(client: OpenAI, waiting: Waiting, status: str) -> None:
    waiting.set(status)
    changed = client.beta.threads.runs.update(waiting.run.id, thread_id=waiting.thread, metadata={"a": status})
    assert (changed.metadata, changed.status) == ({"a": status}, status)
