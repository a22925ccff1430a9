"""The pytest plugin, in pytest runs of their own."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.server_process import ServerProcess

HEAD = """
import openai, os, pytest
client = openai.OpenAI()

def ask(text, client=client):
    assistant = client.beta.assistants.create(model="gpt-4o", instructions="Be brief.")
    return client.beta.threads.create_and_run_poll(
        assistant_id=assistant.id, thread={"messages": [{"role": "user", "content": text}]}
    )
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Somebody's project with tests."""
    (tmp_path / "pytest.ini").write_text("[pytest]\nfilterwarnings =\n    ignore::DeprecationWarning\n")
    return tmp_path


def run(project: Path, tests: str, *flags: str) -> "subprocess.CompletedProcess[str]":
    (project / "test_it.py").write_text(HEAD + tests)
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "_UNDERSTUDY"))}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *flags],
        cwd=project,
        capture_output=True,
        text=True,
        timeout=280,
        env=environ,
    )


def passed(project: Path, tests: str, *flags: str) -> str:
    """What pytest said; all tests must have passed."""
    done = run(project, tests, *flags)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_module_level_client_works(project: Path) -> None:
    passed(
        project,
        """
def test_one(understudy):
    run = ask("hello")
    assert run.status == "completed"
    assert understudy.last_run.id == run.id
    assert understudy.last_run.status == "completed"
    assert understudy.model_calls[0].messages[-1]["content"] == "hello"
    assert [r.path for r in understudy.requests][:2] == ["/v1/assistants", "/v1/threads/runs"]

def test_two_begins_with_nothing(understudy):
    assert client.beta.assistants.list().data == []
    assert understudy.runs == [] and understudy.requests[0].method == "GET"
    with pytest.raises(LookupError):
        understudy.last_run

def test_three_without_the_fixture():
    assert client.beta.threads.create().id

def test_four_has_clients(understudy):
    assert understudy.client().beta.threads.create().id
    assert understudy.base_url == os.environ["OPENAI_BASE_URL"] and understudy.api_key == os.environ["OPENAI_API_KEY"]

def test_five_is_asynchronous(understudy):
    import asyncio
    async def main():
        async with understudy.async_client() as aclient:
            return await aclient.beta.threads.create()
    assert asyncio.run(main()).id
""",
    )


def test_controls(project: Path) -> None:
    passed(
        project,
        """
WEATHER = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {}}}}

def test_time(understudy):
    assistant = client.beta.assistants.create(model="gpt-4o", instructions="x", tools=[WEATHER])
    run = client.beta.threads.create_and_run_poll(
        assistant_id=assistant.id, thread={"messages": [{"role": "user", "content": "call get_weather"}]}
    )
    assert run.status == "requires_action"
    understudy.clock.advance(minutes=11)
    assert understudy.last_run.status == "expired"

def test_faults(understudy):
    understudy.fault("POST /v1/threads", status=500, times=1)
    assert client.beta.threads.create().id
    understudy.fault(fail_run="rate_limit_exceeded")
    assert ask("hello").last_error.code == "rate_limit_exceeded"
    assert understudy.last_run.last_error.code == "rate_limit_exceeded"

def test_snapshots(understudy):
    assistant = client.beta.assistants.create(model="gpt-4o")
    kept = understudy.snapshot()
    understudy.reset()
    assert client.beta.assistants.list().data == []
    understudy.restore(kept)
    assert client.beta.assistants.retrieve(assistant.id).id == assistant.id

def test_ids(understudy):
    understudy.ids(thread=["thread_mine"])
    assert client.beta.threads.create().id == "thread_mine"
    understudy.seed(1)
    first = client.beta.threads.create().id
    understudy.reset()
    understudy.seed(1)
    assert client.beta.threads.create().id == first
    understudy.timing(polls=2)
    assert ask("hello").status == "completed"

def test_a_refused_control(understudy):
    with pytest.raises(Exception, match="No snapshot found"):
        understudy.restore("nothing")

@pytest.mark.understudy_clock(1700000000)
@pytest.mark.understudy_seed("s")
@pytest.mark.parametrize("time", [1, 2])
def test_markers(understudy, time, ids=set()):
    thread = client.beta.threads.create()
    assert thread.created_at == 1700000000
    ids.add(thread.id)
    assert len(ids) == 1
""",
    )


def test_two_hundred_tests_by_four_workers_repeat(project: Path) -> None:
    """Isolated on one server, and with the same ids under a seed."""
    tests = """
@pytest.mark.understudy_seed(11)
@pytest.mark.parametrize("number", range(200))
def test_isolated(understudy, number):
    run = ask(f"number {number}")
    assert run.status == "completed"
    assert [one.id for one in understudy.runs] == [run.id]
    assert [call.messages[-1]["content"] for call in understudy.model_calls] == [f"number {number}"]
    assert len(client.beta.assistants.list().data) == 1
    steps = client.beta.threads.runs.steps.list(run.id, thread_id=run.thread_id).data
    messages = client.beta.threads.messages.list(run.thread_id).data
    with open("ids", "a") as file:
        file.write(" ".join([run.id, run.thread_id, *(one.id for one in (*steps, *messages))]) + "\\n")
"""
    assert "200 passed" in passed(project, tests, "-n", "4")
    lines = (project / "ids").read_text().splitlines()
    assert len(lines) == 200
    assert len(set(lines)) == 1


def test_nothing_starts_where_nothing_is_asked(project: Path) -> None:
    said = passed(
        project,
        """
def test_nothing():
    import subprocess
    children = open(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read().split()
    assert not [pid for pid in children if b"understudy" in open(f"/proc/{pid}/cmdline", "rb").read()]
    import sys
    assert not {"fastapi", "sqlalchemy", "uvicorn", "understudy.app"} & set(sys.modules)
""",
    )
    assert "1 passed" in said


def test_it_can_be_switched_off(project: Path) -> None:
    (project / "pytest.ini").write_text("[pytest]\nunderstudy = false\n")
    (project / "test_it.py").write_text("import os\ndef test_it(): assert 'OPENAI_BASE_URL' not in os.environ\n")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "_UNDERSTUDY"))}
    done = subprocess.run([sys.executable, "-m", "pytest", "-q"], cwd=project, env=environ, capture_output=True)
    assert done.returncode == 0, done.stdout


def test_a_server_that_runs_already(project: Path, testing_server: ServerProcess) -> None:
    tests = """
def test_it(understudy):
    assert understudy.base_url.startswith("%s") and ask("hello").status == "completed"
"""
    passed(project, tests % testing_server.root, "--understudy-url", testing_server.root)


def test_the_server_ends_with_a_killed_pytest(project: Path) -> None:
    (project / "test_it.py").write_text(
        HEAD
        + """
def test_it(understudy):
    import signal
    client.beta.threads.create()
    print("root", os.environ["OPENAI_BASE_URL"], flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-s"], cwd=project, capture_output=True, text=True, timeout=120
    )
    found = re.search(r"root http://127\.0\.0\.1:(\d+)", done.stdout)
    assert found, done.stdout + done.stderr
    deadline = time.monotonic() + 20
    while (alive := _listens(int(found[1]))) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive


def _listens(port: int) -> bool:
    return any(f":{port:04X} 00000000:0000 0A" in line for line in Path("/proc/net/tcp").read_text().splitlines())
