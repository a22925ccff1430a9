"""What PostgreSQL alone brings: several writers at the same moment, and its own idea of a text."""

import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import openai
import pytest
from openai import OpenAI

from tests.runs.streams import assistant_with, function, thread_with
from tests.scripted_upstream import Reply, ScriptedUpstream
from tests.server_process import ServerProcess

ROUNDS = 5
ONE_OF_EIGHT = [200] + [400] * 7


def _statuses(server: ServerProcess, path: str, body: dict[str, object]) -> list[int]:
    """How eight requests at the same moment are answered."""
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(httpx.post, f"{server.url}{path}", json=body, timeout=30) for _ in range(8)]
    return sorted(one.result().status_code for one in asked)


def test_one_of_many_runs_gets_the_thread(server: ServerProcess, client: OpenAI, upstream: ScriptedUpstream) -> None:
    for _ in range(ROUNDS):
        hold = threading.Event()
        assistant, thread = assistant_with(client, upstream.script(Reply("slow", hold=hold))), thread_with(client)
        assert _statuses(server, f"/threads/{thread}/runs", {"assistant_id": assistant}) == ONE_OF_EIGHT
        hold.set()
        (run,) = client.beta.threads.runs.list(thread).data
        assert client.beta.threads.runs.poll(run.id, thread_id=thread).status == "completed"


def test_outputs_are_taken_once(server: ServerProcess, client: OpenAI, upstream: ScriptedUpstream) -> None:
    for _ in range(ROUNDS):
        model = upstream.script(Reply(calls=[("f", {})]), Reply("Done."))
        assistant, thread = assistant_with(client, model, [function("f")]), thread_with(client)
        run = client.beta.threads.runs.create_and_poll(thread_id=thread, assistant_id=assistant)
        assert run.required_action is not None
        (call,) = run.required_action.submit_tool_outputs.tool_calls
        outputs: dict[str, object] = {"tool_outputs": [{"tool_call_id": call.id, "output": "1"}]}
        assert _statuses(server, f"/threads/{thread}/runs/{run.id}/submit_tool_outputs", outputs) == ONE_OF_EIGHT
        assert client.beta.threads.runs.poll(run.id, thread_id=thread).status == "completed"
        assert [one.role for one in client.beta.threads.messages.list(thread).data] == ["assistant", "user"]


@pytest.mark.parametrize("number", range(ROUNDS))
def test_a_chosen_id_is_taken_once(server: ServerProcess, number: int) -> None:
    assert _statuses(server, "/threads", {"id": f"thread_chosen{number}"}) == ONE_OF_EIGHT


def test_a_text_with_a_null_character(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="NUL character") as caught:
        client.beta.assistants.create(model="gpt-4o", name="a\0b")
    assert caught.value.code == "invalid_value"
