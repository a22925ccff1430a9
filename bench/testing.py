"""`make bench`: what a test costs with the pytest plugin, beside the same calls of a server that only pretends.

    bench/testing.py [--write FILE]

Pytest runs of their own, with a test of each kind in turn; what is counted is the whole test, its fixtures included.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from statistics import median, quantiles

from processes import Process
from table import Table, append, place

TESTS, ROUNDS = 20, 5
# Not the user's own: without bytecode, modules that changed would be compiled at each start.
_LEFT_OUT = ("OPENAI_", "_UNDERSTUDY", "PYTHONDONTWRITEBYTECODE")
PACKAGES = ("understudy", "openai", "pytest", "fastapi", "httpx")
INTRODUCTION = """
## Testing kit

`bench/testing.py` measures tests with the pytest plugin: an assistant, a thread, a message, a run until it has ended,
and the list of messages, through the official client. Pretended is the same test of a bare Starlette that answers
with ready-made JSON: what client, HTTP and pytest cost alone. Tests are interleaved. A test's time holds that of its
fixture, which resets the namespace, and of the script that it sets. The slowest twentieth is the first test of each of
the five servers.

"""
_CONFTEST = """
import json, os, time
import pytest

seconds = {}

@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item, nextitem):
    started = time.perf_counter()
    result = yield
    seconds.setdefault(item.name.partition("[")[0], []).append(time.perf_counter() - started)
    return result

def pytest_sessionfinish():
    with open("seconds.json", "w") as file:
        json.dump(seconds, file)
"""
_TESTS = f"""
import os, time
import conftest, openai, pytest

def converse(client, assistant, name):
    started = time.perf_counter()
    thread = client.beta.threads.create()
    client.beta.threads.messages.create(thread.id, role="user", content="hello")
    run = client.beta.threads.runs.create_and_poll(thread_id=thread.id, assistant_id=assistant)
    assert run.status == "completed"
    assert client.beta.threads.messages.list(thread.id).data[0].content[0].text.value == "Hi!"
    conftest.seconds.setdefault(name, []).append(time.perf_counter() - started)

def test_start(understudy):
    understudy.reply("hello", "Hi!")

client = openai.OpenAI()
pretended = openai.OpenAI(base_url=os.environ["PRETENDED"])
# The client loads half of itself with its first call: 0.5 s that are no test's.
converse(pretended, "asst_1", "first calls")

@pytest.mark.parametrize("number", range({TESTS}))
class TestAll:
    def test_ours(self, understudy, number):
        assistant = client.beta.assistants.create(model="gpt-4o").id
        understudy.reply("hello", "Hi!")
        converse(client, assistant, "our calls")

    def test_pretended(self, number):
        converse(pretended, pretended.beta.assistants.create(model="gpt-4o").id, "pretended calls")
"""


def pytest_run(folder: Path, *flags: str, **variables: str) -> float:
    """Seconds that a pytest run takes in a folder; it must pass."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(_LEFT_OUT)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "ignore", *flags]
    started = time.perf_counter()
    subprocess.run(command, cwd=folder, env=environ | variables, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def measure(table: Table, folder: Path) -> None:
    server = Process(folder / "pretended.log", str(Path(__file__).with_name("pretended_process.py")), "{port}")
    project, empty = folder / "project", folder / "empty"
    for one in (project, empty):
        one.mkdir()
        (one / "pytest.ini").write_text("[pytest]\n")
    (project / "conftest.py").write_text(_CONFTEST)
    (project / "test_it.py").write_text(_TESTS)
    (empty / "test_it.py").write_text("def test_it(): pass\n")
    try:
        server.ready()
        seconds: dict[str, list[float]] = defaultdict(list)
        for _ in range(ROUNDS):
            pytest_run(project, PRETENDED=f"http://127.0.0.1:{server.port}/v1")
            for name, found in json.loads((project / "seconds.json").read_text()).items():
                seconds[name] += found
    finally:
        server.stop()
    ours, pretended = ([one * 1000 for one in seconds[name]] for name in ("test_ours", "test_pretended"))
    table.row("a test, p50", "ms", median(ours), median(pretended), "pretended")
    calls = (median(seconds[f"{name} calls"]) * 1000 for name in ("our", "pretended"))
    table.row("… its thread, message, run and list alone", "ms", *calls, "pretended", "< 15 ms")
    table.row("a test, p95", "ms", quantiles(ours, n=20)[-1], quantiles(pretended, n=20)[-1], "pretended")
    plain, loaded = [], []
    for _ in range(ROUNDS):
        plain.append(pytest_run(empty, "-p", "no:understudy"))
        loaded.append(pytest_run(empty))
    first = median(seconds["test_start"])
    table.row("first test, which starts the server", "s", first, median(plain), "a whole pytest run", "< 1 s")
    table.row("pytest with the plugin, which nothing uses", "s", median(loaded), median(plain), "without the plugin")


def main() -> None:
    page, table = place(__doc__), Table()
    with tempfile.TemporaryDirectory() as name:
        measure(table, Path(name))
    append(page, INTRODUCTION, table, *PACKAGES)


if __name__ == "__main__":
    main()
