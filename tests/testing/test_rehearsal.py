"""`understudy test`: starts, sets OPENAI_*, runs the command, stops."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
import pytest

ASK = "import openai, os; print(openai.OpenAI().beta.threads.create().id, os.environ['OPENAI_BASE_URL'])"


def rehearse(*arguments: str, **more: str) -> "subprocess.CompletedProcess[str]":
    environ = {name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")}
    return subprocess.run(
        [sys.executable, "-m", "understudy", "test", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        env={**environ, **more},
    )


def test_a_command_finds_the_server() -> None:
    done = rehearse("--", sys.executable, "-W", "ignore", "-c", ASK)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("thread_")
    assert "http://127.0.0.1:" in done.stdout


@pytest.mark.parametrize(("script", "code"), [("exit 3", 3), ("kill -TERM $$", 128 + signal.SIGTERM)])
def test_the_commands_exit_code(script: str, code: int) -> None:
    assert rehearse("--", "sh", "-c", script).returncode == code


def test_a_command_that_is_not_there() -> None:
    done = rehearse("--", "no-such-command")
    assert done.returncode == 2
    assert done.stderr == "understudy: test: there is no command no-such-command\n"


def test_what_is_quoted_reaches_the_command() -> None:
    done = rehearse("--", "printf", "%s|", "--", "a b", "--port")
    assert done.stdout == "--|a b|--port|"


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    assert rehearse("--", sys.executable, "-W", "ignore", "-c", ASK, TMPDIR=str(tmp_path)).returncode == 0
    assert list(tmp_path.iterdir()) == []


def test_users_of_sessions_may_pass_its_folder(tmp_path: Path) -> None:
    """A server that is root gives each of landlock's sessions one."""
    done = rehearse("--", "sh", "-c", 'stat -c %a "$TMPDIR"/understudy-test-* "$TMPDIR"/*/data', TMPDIR=str(tmp_path))
    assert done.stdout.split() == ["711", "711"]


def test_the_port_file_and_the_end_by_a_signal(tmp_path: Path) -> None:
    file = tmp_path / "port"
    command = [sys.executable, "-m", "understudy", "test", "--port", "0", "--port-file", str(file)]
    with subprocess.Popen([*command, "--", "sleep", "100"]) as process:
        deadline = time.monotonic() + 30
        while not file.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        root = f"http://127.0.0.1:{file.read_text().strip()}"
        assert httpx.get(f"{root}/health").json()["status"] == "ok"
        assert httpx.get(f"{root}/_understudy/clock").json()["frozen"] is False
        process.terminate()
        assert process.wait(20) == 128 + signal.SIGTERM
    assert not file.exists()


def test_a_named_data_folder_is_kept(tmp_path: Path) -> None:
    assert rehearse("--data-dir", str(tmp_path / "data"), "--", "true").returncode == 0
    assert (tmp_path / "data").is_dir()
    assert not list(Path(tempfile.gettempdir()).glob("understudy-test-*/data/understudy.db"))
