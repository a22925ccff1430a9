"""docs/testing.md: its examples run, and it leaves no control out."""

import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from understudy import pytest_plugin
from understudy.testing import routes
from understudy.testing.client import Clock, Understudy
from understudy.testing.faults import Fault

PAGE = (Path(__file__).parents[2] / "docs/testing.md").read_text()
EXAMPLE = re.compile(r"`([\w.]+\.(?:py|yaml))`[^`]*\n\n```\w+\n(.*?)```", re.DOTALL)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All files of the page."""
    folder = tmp_path_factory.mktemp("project")
    for name, text in EXAMPLE.findall(PAGE):
        (folder / name).write_text(text)
    (folder / "pytest.ini").write_text("[pytest]\nfilterwarnings =\n    ignore::DeprecationWarning\n")
    return folder


def test_the_examples_run(project: Path) -> None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "_UNDERSTUDY"))}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=project, env=environ, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    shown = len(re.findall(r"^def test_", PAGE, re.MULTILINE))
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None
    assert int(passed[1]) >= shown > 10


def test_the_script_is_in_order(project: Path) -> None:
    command = [sys.executable, "-m", "understudy", "check", "weather.yaml"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_route_is_documented() -> None:
    served = {(method, route.path) for route in routes.router.routes for method in route.methods}  # type: ignore[attr-defined]
    named = set(re.findall(r"`(GET|PUT|POST|DELETE) (/_understudy/\S+)`", PAGE))
    assert {(method, re.sub(r"\{.*?\}", "{id}", path)) for method, path in served} == named


def test_every_control_is_documented() -> None:
    public = {name for name, _ in inspect.getmembers(Understudy) if not name.startswith("_")}
    for name in public - {"call", "check_matched"} | {"base_url", "api_key", "clock"}:
        assert re.search(rf"\.{name}\b", PAGE), f"understudy.{name}"
    for name in {name for name, _ in inspect.getmembers(Clock) if not name.startswith("_")}:
        assert re.search(rf"`[^`]*\b{name}\b", PAGE), f"understudy.clock.{name}"
    for name in Fault.model_fields:
        assert f"`{name}`" in PAGE, f"a fault's {name}"


def test_every_marker_and_option_is_documented() -> None:
    for marker in pytest_plugin._MARKERS:
        assert marker.partition("(")[0] in PAGE
    source = inspect.getsource(pytest_plugin.pytest_addoption)
    for name in re.findall(r"(?:addoption|addini)\(\"([\w-]+)\"", source):
        assert name in PAGE, name
