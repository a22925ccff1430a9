"""The command: flags, variables, the config file, refusals in one line; crashes and restarts."""

import fcntl
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import openai
import pytest
from openai import OpenAI
from openai.types.beta.threads import Run

from tests.conftest import official_client
from tests.runs.streams import assistant_with, function, thread_with
from tests.runs.test_lifecycle import wait_for
from tests.scripted_upstream import Reply, ScriptedUpstream
from tests.server_process import ServerProcess


def _run(*arguments: str, **variables: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "understudy", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | variables,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--port", "x"], "--port 'x': expected a port"),
        (["--upstream", "nonsense"], "--upstream 'nonsense': expected a base URL"),
        (["--host", "0.0.0.0"], "give --api-key KEY, or --allow-anonymous"),
        (["--model", "m"], "--model m needs --upstream"),
        (["--upstream-key", "secret"], "--upstream-key needs --upstream"),
        (["--models", "gpt-4o"], "expected NAME=SERVED"),
        (["--context-windows", "gpt-4o=many"], "expected NAME=TOKENS"),
        (["--database-url", "mysql://x"], "expected postgresql://"),
        (["--sandbox-memory", "512"], "expected a size such as 512MiB"),
        (["--sandbox-processes", "few"], "expected a whole number from 16 on"),
        (["--sandbox-output", "1GiB"], "expected at most 16MiB"),
        (["--sandbox-sessions", "0"], "expected a whole number from 1 on"),
        (["--sandbox-idle", "-1"], "expected a number above 0"),
        (["--sandbox", "gateway"], "--sandbox gateway needs --sandbox-url"),
        (["--sandbox", "gateway", "--sandbox-url", "user:secret@host"], "--sandbox-url: expected http://HOST:PORT"),
        (["--test-api", "--database-url", "postgresql://x/y"], "it goes with no --database-url"),
        (["--test-api", "--upstream", "http://x/v1", "--chroma-url", "http://x"], "it goes with no --chroma-url"),
        (["--sandbox", "none"], "expected one of auto, bubblewrap"),
        (["--embedder", "large"], "expected minilm, sentence-transformers:NAME"),
        (["--embedder", "upstream:e"], "--embedder upstream:e needs --upstream"),
        (["--chroma-url", "localhost:8000"], "expected http://HOST:PORT"),
        (["--config", "/nowhere.yaml"], "/nowhere.yaml: No such file"),
        (["--port", "18700", "--upstream", "http://localhost:18700/v1"], "is this server itself"),
    ],
)
def test_usage_errors(arguments: list[str], said: str, tmp_path: Path) -> None:
    code, stderr = _run("serve", "--data-dir", str(tmp_path / "data"), *arguments)
    assert code == 2
    assert said in stderr
    assert len(stderr.strip().splitlines()) == 1
    assert "secret" not in stderr


def test_an_exported_base_url_is_not_the_upstream(tmp_path: Path) -> None:
    """The variable that points applications at this server must not point this server at itself."""
    server = ServerProcess(tmp_path / "data", environ={"OPENAI_BASE_URL": "http://127.0.0.1:1/v1"})
    assert server.health()["model"] == {"backend": "offline", "upstream": None}
    assert server.stop() == 0


def test_a_taken_port_and_a_taken_folder(offline_server: ServerProcess, tmp_path: Path) -> None:
    port = offline_server.root.rpartition(":")[2]
    code, stderr = _run("serve", "--port", port, "--data-dir", str(tmp_path / "data"))
    assert code == 1
    assert f"cannot listen on 127.0.0.1:{port}" in stderr
    code, stderr = _run("serve", "--port", "0", "--data-dir", str(offline_server.data_dir))
    assert code == 1
    assert "another Understudy uses" in stderr
    assert "Traceback" not in stderr


def test_the_data_folder_is_closed_to_other_users(tmp_path: Path) -> None:
    """Those of landlock's sessions pass through it, to nothing but their own."""
    server = ServerProcess(tmp_path / "data")
    with official_client(server) as client:
        file = client.files.create(file=("a.txt", b"secret"), purpose="assistants")
        store = client.vector_stores.create(name="secrets")
        client.vector_stores.files.create_and_poll(file.id, vector_store_id=store.id)
    open_to_others = {"lock": 0o044, "sandbox": 0o001}
    names = set()
    for entry in (tmp_path / "data").iterdir():
        names.add(entry.name)
        assert entry.stat().st_mode & 0o077 & ~open_to_others.get(entry.name, 0) == 0, entry
    assert names >= {"understudy.db", "understudy.db-wal", "files", "incoming", "retrieval", "sandbox"}
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o711
    assert server.stop() == 0


def test_a_taken_retrieval_folder(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "retrieval"
    folder.mkdir(parents=True)
    with (folder / "lock").open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        code, stderr = _run("serve", "--port", "0", "--data-dir", str(tmp_path / "data"))
    assert code == 1
    assert f"another Understudy uses {folder}" in stderr.strip().splitlines()[-1]
    assert "Traceback" not in stderr


def test_config_file_variables_and_flags(tmp_path: Path, upstream: ScriptedUpstream) -> None:
    config = tmp_path / "understudy.yaml"
    config.write_text(f"upstream: http://127.0.0.1:9/v1\nmodels:\n  gpt-4o: a\n  o3: b\ndata-dir: {tmp_path / 'x'}\n")
    server = ServerProcess(tmp_path / "data", "--config", str(config), environ={"UNDERSTUDY_UPSTREAM": upstream.url})
    assert server.health()["model"] == {"backend": "upstream", "upstream": upstream.url}
    with official_client(server) as client:
        assert [model.id for model in client.models.list()] == ["gpt-4o", "o3", "scripted"]
    assert not (tmp_path / "x").exists()
    assert server.stop() == 0
    config.write_text("upstraem: x\n")
    code, stderr = _run("serve", "--config", str(config))
    assert code == 2
    assert "unknown setting upstraem" in stderr


def test_health(offline_server: ServerProcess) -> None:
    health = offline_server.health()
    assert health["status"] == "ok"
    assert health["sandbox"] == {"wall": "bubblewrap", "hint": None}
    assert health["embedder"] == {"name": "minilm", "hint": None}
    assert set(health) == {"status", "version", "model", "sandbox", "embedder"}


def test_keys(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "data", environ={"UNDERSTUDY_API_KEY": "sk-one,sk-two"})
    for key in ("sk-one", "sk-two"):
        with OpenAI(base_url=server.url, api_key=key) as client:
            assert client.models.list().data
    assert httpx.get(f"{server.url}/models", headers={"api-key": "sk-two"}).status_code == 200
    with (
        OpenAI(base_url=server.url, api_key="sk-three-is-wrong") as client,
        pytest.raises(openai.AuthenticationError) as caught,
    ):
        client.models.list()
    refused: dict[str, object] = {"type": "invalid_request_error", "param": None}
    wrong = {"message": "Incorrect API key provided: sk-t********rong.", "code": "invalid_api_key"}
    assert caught.value.body == refused | wrong
    none = (
        "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth "
        "(i.e. Authorization: Bearer YOUR_KEY)."
    )
    answer = httpx.get(f"{server.url}/models")
    assert (answer.status_code, answer.json()["error"]) == (401, refused | {"message": none, "code": None})
    assert httpx.get(f"{server.root}/health").status_code == 200
    assert "sk-" not in server.log().replace("sk-t********rong", "")
    assert server.stop() == 0


def test_browsers_and_foreign_names(offline_server: ServerProcess, tmp_path: Path) -> None:
    url = f"{offline_server.url}/models"
    assert httpx.get(url, headers={"host": "evil.example"}).status_code == 403
    assert httpx.get(url, headers={"origin": "https://evil.example"}).status_code == 403
    assert httpx.get(url, headers={"sec-fetch-site": "cross-site"}).status_code == 403
    assert httpx.get(url, headers={"host": "localhost:8700"}).status_code == 200
    assert "access-control-allow-origin" not in httpx.get(url).headers
    server = ServerProcess(tmp_path / "data", "--cors-origin", "https://app.example", "--allowed-host", "assistants")
    headers = {"origin": "https://app.example", "sec-fetch-site": "cross-site"}
    answer = httpx.get(f"{server.url}/models", headers=headers)
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, "https://app.example")
    assert httpx.options(f"{server.url}/models", headers=headers).status_code == 204
    assert httpx.get(f"{server.url}/models", headers={"host": "assistants:8700"}).status_code == 200
    assert server.stop() == 0


# The client leaves the socket of a server that was killed to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_kill_9_during_a_streamed_run(upstream: ScriptedUpstream, tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "data", "--upstream", upstream.url)
    with official_client(server) as client:
        model = upstream.script(Reply(pieces=["begun ", "never"], hold=threading.Event()))
        thread = thread_with(client)
        done = _finished_run(client, upstream)
        waiting = client.beta.threads.runs.create_and_poll(
            thread_id=thread_with(client),
            assistant_id=assistant_with(
                client, upstream.script(Reply(calls=[("f", {})]), Reply("ok")), [function("f")]
            ),
        )
        run = client.beta.threads.runs.create(thread, assistant_id=assistant_with(client, model), stream=True)
        events = [next(run).event for _ in range(8)]
        assert events[-1] == "thread.message.delta"
        server.kill()
        run.close()
    server.start()
    with official_client(server) as client:
        (broken,) = client.beta.threads.runs.list(thread).data
        assert broken.last_error is not None
        assert (broken.status, broken.last_error.code) == ("failed", "server_error")
        (step,) = client.beta.threads.runs.steps.list(broken.id, thread_id=thread).data
        assert step.status == "failed"
        message, question = (message.to_dict() for message in client.beta.threads.messages.list(thread))
        assert (message["status"], message["incomplete_details"]) == ("incomplete", {"reason": "run_failed"})
        assert "hi" in str(question["content"])
        client.beta.threads.messages.create(thread, role="user", content="go on")
        assert client.beta.threads.runs.retrieve(done.id, thread_id=done.thread_id) == done
        assert waiting.required_action is not None
        call = waiting.required_action.submit_tool_outputs.tool_calls[0]
        after = client.beta.threads.runs.submit_tool_outputs_and_poll(
            run_id=waiting.id,
            thread_id=waiting.thread_id,
            tool_outputs=[{"tool_call_id": call.id, "output": "1"}],
        )
        assert after.status == "completed"
    assert server.stop() == 0


def _finished_run(client: OpenAI, upstream: ScriptedUpstream) -> Run:
    return client.beta.threads.runs.create_and_poll(
        thread_id=thread_with(client), assistant_id=assistant_with(client, upstream.script(Reply("done")))
    )


def test_a_stop_in_good_order_ends_the_runs(upstream: ScriptedUpstream, tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "data", "--upstream", upstream.url)
    model = upstream.script(Reply(pieces=["begun ", "never"], hold=threading.Event()))
    with official_client(server) as client:
        thread = thread_with(client)
        run = client.beta.threads.runs.create(thread, assistant_id=assistant_with(client, model))
        wait_for(lambda: client.beta.threads.messages.list(thread).data[0].role == "assistant")
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(timeout=20) == 0
    server.start()
    with official_client(server) as client:
        ended = client.beta.threads.runs.retrieve(run.id, thread_id=thread)
        assert ended.last_error is not None
        assert (ended.status, ended.last_error.message) == (
            "failed",
            "The server was stopped while the run was in progress.",
        )
        assert "begun" in str(client.beta.threads.messages.list(thread).data[0].content)
    assert server.stop() == 0


def test_contents_without_a_row_go_at_the_next_start(tmp_path: Path) -> None:
    """A crash between the content and its row, and one in the middle of an upload."""
    server = ServerProcess(tmp_path / "data")
    with official_client(server) as client:
        file = client.files.create(file=("a", b"kept"), purpose="batch")
    server.kill()
    (server.data_dir / "files" / "file-orphan").write_bytes(b"x")
    (server.data_dir / "incoming" / "file-half").write_bytes(b"x")
    server.start()
    with official_client(server) as client:
        assert client.files.content(file.id).read() == b"kept"
    assert [path.name for path in (server.data_dir / "files").iterdir()] == [file.id]
    assert not list((server.data_dir / "incoming").iterdir())
    assert server.stop() == 0


def test_doctor(tmp_path: Path, upstream: ScriptedUpstream) -> None:
    model = upstream.script(Reply("", calls=[("report", {"number": 7})], whole=True))
    flags = ["--data-dir", str(tmp_path), "--upstream", upstream.url, "--model", model]
    done = subprocess.run(
        [sys.executable, "-m", "understudy", "doctor", *flags],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    lines = {line[4:22].strip(): line for line in done.stdout.splitlines()}
    assert lines["code interpreter"].startswith("ok")
    assert "serves scripted" in lines["upstream"]
    assert "calls tools" in lines["tool calls"]
    code, stderr = _run("doctor", "--data-dir", str(tmp_path), "--upstream", "http://127.0.0.1:1/v1")
    assert code == 1
    assert "to be mended: upstream" in stderr


def test_demo(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "understudy", "demo", "--output", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | {"OPENAI_BASE_URL": "http://127.0.0.1:1/v1", "OPENAI_API_KEY": "unused"},
    )
    assert done.returncode == 0, done.stderr
    for shown in ("best revenue: May (22000)", "worst revenue: Mar (11000)", "pd.read_csv", "get_weather", "18"):
        assert shown in done.stdout
    assert 'in q4_report.pdf: "Risk Factors Three risk factors stood out' in done.stdout
    assert "its citation 【0:0†q4_report.pdf】 points to q4_report.pdf" in done.stdout
    assert (tmp_path / "chart.png").read_bytes().startswith(b"\x89PNG")
