"""The pages tell the truth: generated ones are fresh, the README names files that are there."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

from tests.clients.features import FEATURES
from tests.clients.matrix import CLIENTS
from tests.clients.page import page

ROOT = Path(__file__).parents[2]


def test_generated_pages_are_fresh() -> None:
    command = [sys.executable, "-m", "docs.generate", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_page_of_clients_is_fresh() -> None:
    green = {(client, feature): True for client in CLIENTS for feature in client.features}
    assert (ROOT / "docs/clients.md").read_text() == page(green), "docs/clients.md is stale: make test-clients"
    assert all(client.note for client in CLIENTS if set(client.features) != set(FEATURES))


def test_links_lead_somewhere() -> None:
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "docker").glob("*.md")]:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", path.read_text()):
            assert (path.parent / target).exists(), f"{path.name} links to {target}"


def test_the_code_interpreters_packages_are_named() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extra = {re.split(r"[<>=]", wanted)[0] for wanted in project["optional-dependencies"]["interpreter"]}
    page = (ROOT / "docs/code-interpreter.md").read_text().partition("| for | packages |")[2].partition("\n\n")[0]
    assert set(re.findall(r"`([^`]+)`", page)) == extra
