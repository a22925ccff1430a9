"""Other people's clients, unchanged, each a program in an environment of its own: `make test-clients`."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.conftest import CELLS
from tests.clients.features import FEATURES, FILES
from tests.clients.matrix import ROOT, Client
from tests.scripted_upstream import ScriptedUpstream
from tests.server_process import ServerProcess

PROGRAMS = Path(__file__).parent / "programs"


@pytest.fixture(scope="module")
def server(upstream: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One for all clients, in front of the scripted upstream."""
    process = ServerProcess(tmp_path_factory.mktemp("server") / "data", "--upstream", upstream.url)
    yield process
    assert process.stop() == 0, process.log()


def _environ(client: Client, server: ServerProcess, model: str, home: Path) -> dict[str, str]:
    environ = {"UNDERSTUDY_MODEL": model, "HOME": str(home), "PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1"}
    if client.azure:
        return environ | {
            "AZURE_OPENAI_ENDPOINT": server.root,
            "AZURE_OPENAI_API_KEY": "sk-test",
            "OPENAI_API_VERSION": "2024-05-01-preview",
        }
    return environ | {"OPENAI_BASE_URL": server.url, "OPENAI_API_KEY": "sk-test"}


@pytest.mark.parametrize(("client", "feature"), CELLS.values(), ids=list(CELLS))
def test_client(
    client: Client, feature: str, server: ServerProcess, upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    if not client.interpreter().exists():
        pytest.fail(f"{client} is not installed: make .clients/{client.environment}/.installed")
    for name, content in FILES.items():
        (tmp_path / name).write_text(content)
    program = PROGRAMS / client.program
    if client.command == "node":
        # Node looks for packages beside the program.
        for module in PROGRAMS.glob("*.mjs"):
            shutil.copy(module, tmp_path)
        program = tmp_path / client.program
        (tmp_path / "node_modules").symlink_to(ROOT / ".clients" / client.environment / "node_modules")
    done = subprocess.run(
        [client.interpreter(), program, feature],
        cwd=tmp_path,
        env=_environ(client, server, FEATURES[feature].model(upstream), tmp_path),
        capture_output=True,
        encoding="utf-8",
        timeout=120,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{server.log()[-3000:]}"
    assert "Traceback" not in server.log()
    result = json.loads(done.stdout.rstrip().rpartition("\n")[2])
    for key, seen in FEATURES[feature].shows.items():
        assert key in client.hides or seen(result[key]), key
    assert result.get("streamed") == result.get("polled")
