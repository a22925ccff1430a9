"""The pytest plugin: `def test_x(understudy)` gets a namespace of its own on one server for the whole session.

The server starts with the first request that anybody makes: until then there is a socket that listens, and
OPENAI_BASE_URL names it. Nothing else is imported here, as every pytest run in the environment imports this.
"""

from __future__ import annotations

import os
import select
import socket
import subprocess
import sys
import threading
import uuid
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from understudy.testing.client import Understudy

_URL = "_UNDERSTUDY_URL"
_MARKERS = (
    "understudy(unmatched='fail'): whether the test fails when no rule matched a model call (fail, allow)",
    "understudy_seed(seed): ids are drawn from a seed",
    "understudy_clock(at=None): time stands still, at seconds since the epoch or at the present",
    "understudy_cassette(path=None, mode=None): model calls are replayed from, or recorded to, a file",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options and settings of pytest's."""
    group = parser.getgroup("understudy")
    group.addoption("--understudy-url", metavar="URL", help="a server in test mode that runs already")
    group.addoption("--understudy-mode", metavar="MODE", help="none, once, new or all: what cassettes do")
    parser.addini("understudy", "false: leave OPENAI_* alone, no server", type="bool", default=True)
    parser.addini("understudy_flags", "flags of the server", type="args", default=[])


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Set OPENAI_* before any test module is imported: a client that a module makes uses them."""
    if not early_config.getini("understudy"):
        return
    url = early_config.known_args_namespace.understudy_url or os.environ.get(_URL)
    if not url:
        server = _Server(early_config.getini("understudy_flags"))
        early_config.add_cleanup(server.stop)
        url = server.url
        # Where the workers of pytest-xdist, which inherit it, find the one server.
        shared = pytest.MonkeyPatch()
        shared.setenv(_URL, url)
        early_config.add_cleanup(shared.undo)
    _patch(early_config, url.rstrip("/"), f"sk-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}-{uuid.uuid4().hex}")


def _patch(config: pytest.Config, root: str, key: str) -> None:
    from understudy.testing.environment import environment

    patch = pytest.MonkeyPatch()
    config.add_cleanup(patch.undo)
    for name, value in environment(root, key).items():
        patch.setenv(name, value)
    config.stash[_PLACE] = (root, key)


_PLACE = pytest.StashKey[tuple[str, str]]()


class _Server:
    """A listening socket, and behind it a server as soon as somebody connects."""

    def __init__(self, flags: list[str]) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._flags = flags
        self._process: subprocess.Popen[bytes] | None = None
        self._wake, self._ended = socket.socketpair()
        self._thread = threading.Thread(target=self._await_connection, daemon=True)
        self._thread.start()

    def _await_connection(self) -> None:
        ready, _, _ = select.select([self._socket, self._wake], [], [])
        if self._wake in ready:
            return
        fd = self._socket.fileno()
        command = [sys.executable, "-m", "understudy", "test", "--fd", str(fd), *self._flags]
        # It ends with its standard input, so also when pytest is killed.
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=(fd,))  # noqa: S603 - our own

    def stop(self) -> None:
        """End it, if it was started."""
        self._ended.send(b"x")
        self._thread.join()
        self._socket.close()
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            self._process.wait(20)
        self._wake.close()
        self._ended.close()


def pytest_configure(config: pytest.Config) -> None:
    """Make the markers known."""
    for marker in _MARKERS:
        config.addinivalue_line("markers", marker)


@pytest.fixture
def understudy(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Understudy]:
    """A namespace that holds nothing, and its controls; OPENAI_* lead there."""
    from understudy.testing.client import Understudy
    from understudy.testing.environment import environment

    place = request.config.stash.get(_PLACE, None)
    if place is None:
        pytest.fail("the ini setting `understudy` is false: there is no server")
    for name, value in environment(*place).items():
        monkeypatch.setenv(name, value)
    with Understudy(*place) as controls:
        controls.reset()
        _apply_markers(request, controls)
        yield controls
        marker = request.node.get_closest_marker("understudy")
        if marker is None or marker.kwargs.get("unmatched", "fail") != "allow":
            controls.check_matched()


def _apply_markers(request: pytest.FixtureRequest, controls: Understudy) -> None:
    if marker := request.node.get_closest_marker("understudy_seed"):
        controls.seed(*marker.args, **marker.kwargs)
    if marker := request.node.get_closest_marker("understudy_clock"):
        controls.clock.freeze(*marker.args, **marker.kwargs)
    if marker := request.node.get_closest_marker("understudy_cassette"):
        default = request.path.parent / "cassettes" / request.path.stem / f"{request.node.name}.yaml"
        path = request.path.parent / marker.args[0] if marker.args else default
        mode = marker.kwargs.get("mode") or request.config.getoption("understudy_mode") or "none"
        controls.cassette(path, mode=mode)
