"""What each mode asks the upstream, what a miss says, and who may record."""

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI

from tests.cassettes.recordings import entries, run_to_end, serving
from tests.runs.streams import assistant_with
from tests.scripted_upstream import Reply, ScriptedUpstream

pytestmark = pytest.mark.usefixtures("outside_ci")


def _asked(client: OpenAI, model: str, *texts: str) -> list[str]:
    answers = []
    for text in texts:
        messages: Any = [{"role": "user", "content": text}]
        try:
            answer = client.chat.completions.create(model=model, messages=messages)
            answers.append(str(answer.choices[0].message.content))
        except openai.APIStatusError as error:
            answers.append(str(error.status_code))
    return answers


def test_modes(upstream: ScriptedUpstream, tmp_path: Path) -> None:
    model = upstream.script(*(Reply(f"answer {number}") for number in range(9)))
    cassette = tmp_path / "modes.yaml"
    flags = ("--upstream", upstream.url, "--cassette", str(cassette), "--mode")

    def asked(mode: str, *texts: str) -> list[str]:
        with serving(tmp_path / "data", *flags, mode) as (_, client):
            return _asked(client, model, *texts)

    assert asked("once", "a", "a", "b") == ["answer 0", "answer 1", "answer 2"]
    assert asked("once", "a", "a", "a", "c") == ["answer 0", "answer 1", "answer 1", "502"]
    assert asked("new", "b", "c", "c", "a") == ["answer 2", "answer 3", "answer 4", "answer 0"]
    assert len(entries(cassette)) == 5
    assert asked("none", "c", "c", "c") == ["answer 3", "answer 4", "answer 4"]
    assert asked("all") == []
    assert len(entries(cassette)) == 5
    assert asked("all", "b", "a") == ["answer 5", "answer 6"]
    assert asked("none", "a", "b", "c") == ["answer 6", "answer 5", "502"]
    assert len(entries(cassette)) == 2


def test_a_miss_shows_what_differs(upstream: ScriptedUpstream, tmp_path: Path) -> None:
    model = upstream.script(Reply("sunny"), Reply("rainy"))
    flags = ("--cassette", str(tmp_path / "weather.yaml"))
    with serving(tmp_path / "one", "--upstream", upstream.url, *flags, command="record") as (_, client):
        run_to_end(client, assistant_with(client, model), "weather in Paris")
        run_to_end(client, assistant_with(client, model), "how are you")
    with serving(tmp_path / "two", *flags) as (server, client):
        run = run_to_end(client, assistant_with(client, model), "weather in Rome")
        proxied = httpx.post(f"{server.url}/chat/completions", json={"model": model, "messages": []})
        nowhere = httpx.post(f"{server.url}/moderations", json={"input": "x"})
    assert (run.status, run.last_error and run.last_error.code) == ("failed", "server_error")
    assert run.last_error is not None
    assert run.last_error.message.startswith("The cassette weather.yaml has no answer to POST chat/completions. ")
    assert "-  - content: weather in Paris\n+  - content: weather in Rome\n" in run.last_error.message
    assert "how are you" not in run.last_error.message
    assert (proxied.status_code, proxied.headers["x-should-retry"]) == (502, "false")
    assert proxied.json()["error"].keys() == {"message", "type", "param", "code"}
    assert proxied.json()["error"]["code"] == "cassette_miss"
    assert "none of them for moderations" in nowhere.json()["error"]["message"]


def test_parallel_runs_with_equal_requests(upstream: ScriptedUpstream, tmp_path: Path) -> None:
    model = upstream.script(*(Reply(pieces=["answer ", str(number)], delay=0.05) for number in range(6)))
    flags = ("--cassette", str(tmp_path / "parallel.yaml"))

    def answers(client: OpenAI) -> list[str]:
        assistant, texts = assistant_with(client, model), []

        def ask() -> None:
            run = run_to_end(client, assistant, "hi")
            content: Any = client.beta.threads.messages.list(run.thread_id, run_id=run.id).data[0].content
            texts.append(content[0].text.value)

        threads = [threading.Thread(target=ask) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sorted(texts)

    with serving(tmp_path / "one", "--upstream", upstream.url, *flags, command="record") as (_, client):
        assert answers(client) == [f"answer {number}" for number in range(6)]
    with serving(tmp_path / "two", *flags) as (_, client):
        assert answers(client) == [f"answer {number}" for number in range(6)]


def test_only_one_records(upstream: ScriptedUpstream, tmp_path: Path) -> None:
    cassette = tmp_path / "held.yaml"
    flags = ("--upstream", upstream.url, "--cassette", str(cassette))
    with serving(tmp_path / "one", *flags, command="record") as (_, client):
        assert [model.id for model in client.models.list()] == ["scripted"]
        code, said = _understudy("record", *flags, "--data-dir", str(tmp_path / "two"), "--port", "0")
        assert code == 1
        assert said.splitlines()[-1].endswith("held.yaml is being recorded on by another Understudy")
        with serving(tmp_path / "three", "--cassette", str(cassette)) as (_, other):
            assert [model.id for model in other.models.list()] == ["scripted"]
    assert {path.name for path in tmp_path.iterdir()} == {"held.yaml", "one", "one.log", "two", "three", "three.log"}


def test_ci_only_replays(upstream: ScriptedUpstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    model = upstream.script(Reply("recorded"))
    cassette = tmp_path / "ci.yaml"
    flags = ("--upstream", upstream.url, "--cassette", str(cassette))
    code, said = _understudy("serve", *flags, "--mode", "all", "--data-dir", str(tmp_path / "data"), "--port", "0")
    assert code == 1
    assert said.splitlines()[-1].endswith("ci.yaml: No such file or directory; to record it: understudy record")
    with serving(tmp_path / "one", *flags, command="record") as (_, client):
        assert _asked(client, model, "a") == ["recorded"]
    with serving(tmp_path / "two", *flags, "--mode", "new") as (_, client):
        assert _asked(client, model, "a", "b") == ["recorded", "502"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["serve", "--mode", "new"], "--mode new needs --cassette FILE"),
        (["serve", "--mode", "some"], "'some': expected one of none, once, new, all"),
        (["serve", "--cassette", "/nowhere/c.yaml", "--mode", "once"], "--mode once needs --upstream URL"),
        (["serve", "--redact", "("], "--redact '(': expected a regular expression"),
        (["serve", "--cassette-pacing", "fast"], "expected none, real or a factor"),
        (["record", "--cassette", "c.yaml"], "record needs --cassette FILE and --upstream URL"),
        (["record", "--upstream", "ollama"], "record needs --cassette FILE and --upstream URL"),
        (["record", "--cassette", "c.yaml", "--upstream", "ollama", "--mode", "none"], "--mode none records nothing"),
    ],
)
def test_usage_errors(arguments: list[str], said: str, tmp_path: Path) -> None:
    code, stderr = _understudy(*arguments, "--data-dir", str(tmp_path / "data"))
    assert code == 2
    assert said in stderr
    assert len(stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a: [", "is no cassette"),
        ("version: 2\n", "expected a mapping with version: 1"),
        ("version: 1\nredact: ['(']\n", "is no cassette"),
        ("version: 1\nentries: [{request: {method: GET, path: models}}]\n", "after 0 entries: KeyError: 'response'"),
    ],
)
def test_files_that_are_no_cassettes(content: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(content)
    flags = ("--cassette", str(tmp_path / "c.yaml"), "--data-dir", str(tmp_path / "data"), "--port", "0")
    code, stderr = _understudy("serve", *flags)
    assert code == 1
    assert said in stderr.splitlines()[-1]
    assert "Traceback" not in stderr


def _understudy(*arguments: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "understudy", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=dict(os.environ))
    return done.returncode, done.stderr


def test_in_test_mode_a_test_names_what_it_records(tmp_path: Path) -> None:
    flags = ("--upstream", "http://127.0.0.1:9/v1", "--cassette", str(tmp_path / "c.yaml"), "--mode", "new")
    for command in (("serve", "--test-api"), ("test",)):
        done = subprocess.run([sys.executable, "-m", "understudy", *command, *flags], capture_output=True, text=True)
        assert done.returncode == 2
        assert "PUT /_understudy/cassette" in done.stderr
