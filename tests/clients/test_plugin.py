"""The pytest plugin in applications' environments, with the openai and the httpx that they pin."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.clients.matrix import ROOT

PINNED = Path(__file__).parent.glob("constraints-openai-*.txt")
VERSIONS = sorted(path.stem.removeprefix("constraints-openai-") for path in PINNED)
TESTS = """
import asyncio, json, os
import openai, pytest

client = openai.OpenAI()
WEATHER = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {}}}}
SCRIPT = '''
rules:
  - when: {user: '/weather in (?P<city>.+)/'}
    turns:
      - call: {get_weather: {city: "${city}"}}
      - reply: "${get_weather}."
'''

def ask(text, **assistant):
    assistant = client.beta.assistants.create(model="gpt-4o", **assistant)
    return client.beta.threads.create_and_run_poll(
        assistant_id=assistant.id, thread={"messages": [{"role": "user", "content": text}]}
    )

def test_version(understudy):
    assert openai.__version__ == os.environ["EXPECTED"]

def test_a_script(understudy):
    understudy.script(SCRIPT)
    run = ask("weather in Paris", tools=[WEATHER])
    [call] = run.required_action.submit_tool_outputs.tool_calls
    assert json.loads(call.function.arguments) == {"city": "Paris"}
    run = client.beta.threads.runs.submit_tool_outputs_and_poll(
        run_id=run.id, thread_id=run.thread_id, tool_outputs=[{"tool_call_id": call.id, "output": "Sunny"}]
    )
    assert client.beta.threads.messages.list(run.thread_id).data[0].content[0].text.value == "Sunny."
    assert understudy.last_run.id == run.id

def test_a_stream(understudy):
    understudy.reply("hello", "Hi there!")
    assistant = client.beta.assistants.create(model="gpt-4o")
    thread = client.beta.threads.create(messages=[{"role": "user", "content": "hello"}])
    with client.beta.threads.runs.stream(thread_id=thread.id, assistant_id=assistant.id) as stream:
        assert "".join(stream.text_deltas) == "Hi there!"

def test_time(understudy):
    understudy.script(SCRIPT)
    ask("weather in Paris", tools=[WEATHER])
    understudy.clock.advance(minutes=11)
    assert understudy.last_run.status == "expired"

@pytest.mark.parametrize("fault", [{"status": 429, "retry_after": 0.01}, {"status": 500}, {"drop": True}], ids=str)
def test_it_recovers(understudy, fault):
    understudy.fault("POST /v1/threads", times=2, **fault)
    assert client.beta.threads.create().id
    assert [request.path for request in understudy.requests] == ["/v1/threads"] * 3

@pytest.mark.parametrize(
    ("fault", "raised"),
    [
        ({"status": 400}, openai.BadRequestError),
        ({"status": 404}, openai.NotFoundError),
        ({"status": 429}, openai.RateLimitError),
        ({"status": 500}, openai.InternalServerError),
        ({"drop": True}, openai.APIConnectionError),
        ({"cut": 0}, openai.APIConnectionError),
        ({"stall": 0}, openai.APITimeoutError),
    ],
    ids=str,
)
def test_what_it_raises(understudy, fault, raised):
    understudy.fault("GET /v1/assistants", **fault)
    with pytest.raises(openai.APIError) as caught:
        client.with_options(max_retries=0, timeout=0.5).beta.assistants.list()
    assert type(caught.value) is raised

def test_clients(understudy):
    assert understudy.client().beta.threads.create().id
    async def main():
        async with understudy.async_client() as aclient:
            return await aclient.beta.threads.create()
    assert asyncio.run(main()).id
"""


@pytest.mark.parametrize("version", VERSIONS)
def test_the_plugin_beside(version: str, tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(TESTS)
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "_UNDERSTUDY"))}
    python = ROOT / f".clients/plugin-{version}/bin/python"
    done = subprocess.run(
        [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "2"],
        cwd=tmp_path,
        env=environ | {"EXPECTED": version},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "15 passed" in done.stdout
    assert "ERROR" not in done.stderr
