"""docs/testing.md: its examples run, and it leaves no control out."""

import inspect
import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from tests.server_process import ServerProcess
from understudy import pytest_plugin
from understudy.configuration import flag
from understudy.settings import Settings
from understudy.testing import routes
from understudy.testing.client import Clock, Understudy
from understudy.testing.faults import Fault

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/testing.md").read_text()
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


def test_the_workflow(project: Path, tmp_path: Path) -> None:
    """The service's variables make the image's command a server that the tests join; the image itself is not run."""
    example = re.search(r"^```yaml\n(services:.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert example is not None
    workflow = yaml.safe_load(example[1])
    service = workflow["services"]["understudy"]
    [(outside, inside)] = [ports.split(":") for ports in service["ports"]]
    assert f"\nEXPOSE {inside}\n" in (ROOT / "docker/Dockerfile").read_text()
    assert workflow["env"]["OPENAI_BASE_URL"] == f"http://127.0.0.1:{outside}/v1"
    server = ServerProcess(tmp_path / "data", environ=service["env"])
    try:
        environ = os.environ | workflow["env"] | {"OPENAI_BASE_URL": server.url}
        for command in (
            ["-c", "import my_app; print(my_app.ask('Hello there'))"],
            ["-m", "pytest", "-q", "-p", "no:cacheprovider", "--understudy-url", server.root, "test_my_app.py"],
        ):
            done = subprocess.run([sys.executable, *command], cwd=project, env=environ, capture_output=True, text=True)
            assert done.returncode == 0, done.stdout + done.stderr
    finally:
        server.kill()


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


NOT_OF_THE_KIT = {
    *("host", "port", "data_dir", "database_url", "upstream", "upstream_key", "model", "models", "api_key"),
    *("allow_anonymous", "allowed_host", "cors_origin", "embedder", "chroma_url", "max_tool_rounds", "context_window"),
    *("context_windows", "log_level", "log_content"),
}


def test_every_setting_is_documented() -> None:
    settings = {one.name for one in fields(Settings) if not one.name.startswith("sandbox")}
    assert settings > NOT_OF_THE_KIT
    table = PAGE.partition("## Commands and settings")[2].partition("\n## ")[0]
    for name in settings - NOT_OF_THE_KIT:
        assert f"--{flag(name)}" in table, name


def test_every_flag_of_a_command_is_documented() -> None:
    common = {f"--{flag(one.name)}" for one in fields(Settings)} | {"--mode", "--config", "--help"}
    table = PAGE.partition("## Commands and settings")[2].partition("\n## ")[0]
    for command in (["test"], ["record"], ["check"], ["script", "from-thread"]):
        line = [sys.executable, "-m", "understudy", *command, "--help"]
        said = subprocess.run(line, capture_output=True, text=True, check=True).stdout
        assert f"understudy {' '.join(command)}" in table
        for name in set(re.findall(r"--[a-z][a-z-]+", said)) - common:
            assert name in table, f"{command} {name}"


def test_every_marker_and_option_is_documented() -> None:
    for marker in pytest_plugin._MARKERS:
        assert marker.partition("(")[0] in PAGE
    source = inspect.getsource(pytest_plugin.pytest_addoption)
    for name in re.findall(r"(?:addoption|addini)\(\"([\w-]+)\"", source):
        assert name in PAGE, name
