"""A fault of ours in the middle of a stream: the client is told, and the run is ended as soon as that can be."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import openai
import pytest
from openai import OpenAI

from tests.conftest import official_client
from tests.runs.streams import assistant_with, stream, thread_with
from tests.runs.test_lifecycle import wait_for
from tests.scripted_upstream import Reply, ScriptedUpstream
from tests.server_process import ServerProcess


@pytest.fixture
def own_server(upstream: ScriptedUpstream, tmp_path: Path) -> Iterator[ServerProcess]:
    """A server whose database a test may break."""
    process = ServerProcess(tmp_path / "data", "--upstream", upstream.url)
    yield process
    assert process.stop() == 0


def _change(server: ServerProcess, statement: str) -> None:
    with closing(sqlite3.connect(server.data_dir / "understudy.db", timeout=10)) as database, database:
        database.execute(statement)


def _break_when_begun(client: OpenAI, server: ServerProcess, thread: str, hold: threading.Event) -> threading.Thread:
    def work() -> None:
        wait_for(lambda: client.beta.threads.messages.list(thread).data[0].role == "assistant")
        _change(server, "ALTER TABLE run_steps RENAME TO lost_steps")
        hold.set()

    worker = threading.Thread(target=work)
    worker.start()
    return worker


@pytest.mark.event("error")
def test_what_cannot_be_recorded(own_server: ServerProcess, upstream: ScriptedUpstream) -> None:
    hold = threading.Event()
    model = upstream.script(Reply(pieces=["begun ", "never"], hold=hold))
    with official_client(own_server) as client:
        assistant, thread = assistant_with(client, model), thread_with(client)
        worker = _break_when_begun(client, own_server, thread, hold)
        events = stream(own_server, f"/threads/{thread}/runs", assistant_id=assistant)
        worker.join()
        assert events.collapsed()[-2:] == ["message.delta", "error"]
        assert events.objects[-1] == {
            "error": {
                "message": "The server had an error while processing your request. Sorry about that!",
                "type": "server_error",
                "param": None,
                "code": None,
            }
        }
        _change(own_server, "ALTER TABLE lost_steps RENAME TO run_steps")
        # The sweeper ends it as soon as that can be written; a restart would.
        wait_for(lambda: client.beta.threads.runs.list(thread).data[0].status == "failed")
        (run,) = client.beta.threads.runs.list(thread).data
        (step,) = client.beta.threads.runs.steps.list(run.id, thread_id=thread).data
        assert step.status == "failed"


def test_the_official_client_raises(own_server: ServerProcess, upstream: ScriptedUpstream) -> None:
    hold = threading.Event()
    model = upstream.script(Reply(pieces=["begun ", "never"], hold=hold))
    with official_client(own_server) as client:
        assistant, thread = assistant_with(client, model), thread_with(client)
        worker = _break_when_begun(client, own_server, thread, hold)
        with (
            pytest.raises(openai.APIError, match="The server had an error"),
            client.beta.threads.runs.stream(thread_id=thread, assistant_id=assistant) as helper,
        ):
            helper.until_done()
        worker.join()
        _change(own_server, "ALTER TABLE lost_steps RENAME TO run_steps")
