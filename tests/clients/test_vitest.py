"""`understudy test -- npx vitest run`: the project of docs/testing.md, and faults as the Node SDK takes them."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.clients.matrix import ROOT

PROJECT = Path(__file__).parent / "vitest"
INSTALLED = ROOT / ".clients/node-vitest/node_modules"
NODE = ROOT / ".clients/node/bin"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A Vitest project with the page's files and our tests."""
    page = (ROOT / "docs/testing.md").read_text()
    for name, example in re.findall(r"`([\w.]+\.ts)`[^`]*\n\n```ts\n(.*?)```", page, re.DOTALL):
        (tmp_path / name).write_text(example)
    for test in PROJECT.glob("*.ts"):
        shutil.copy(test, tmp_path)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "node_modules").symlink_to(INSTALLED)
    return tmp_path


def test_a_vitest_project(project: Path) -> None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")}
    done = subprocess.run(
        [sys.executable, "-m", "understudy", "test", "--", "npx", "vitest", "run"],
        cwd=project,
        env=environ | {"PATH": f"{NODE}:{os.environ['PATH']}", "NO_COLOR": "1", "npm_config_offline": "true"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"Test Files\s+2 passed \(2\)", done.stdout), done.stdout
    passed = re.search(r"Tests\s+(\d+) passed \((\d+)\)", done.stdout)
    assert passed is not None, done.stdout
    assert int(passed[1]) == int(passed[2]) > 20
