"""When the landlock wall is refused, with what remedy."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.readable_python import readable_python
from understudy_sandbox import Sandbox, SandboxUnavailable, Verdict, landlock
from understudy_sandbox.inside import landlock as system
from understudy_sandbox.inside import reaper

from .conftest import Caller
from .test_landlock import HOST_FILES, OTHERS, SOCKETS, Host, host, outcomes

__all__ = ["host"]

pytestmark = pytest.mark.anyio
WALLS = ("landlock",)
ROOT = os.geteuid() == 0


async def verdict_of(root: Path, python: Path | None, wall: str = "landlock") -> Verdict:
    sandbox = Sandbox(wall=wall, root=root / "probed", python=python)
    try:
        return await sandbox.probe()
    finally:
        await sandbox.aclose()


async def test_it_holds_here(sandbox: Sandbox) -> None:
    verdict = await sandbox.probe()
    assert (verdict.wall, verdict.hint) == ("landlock", None)


async def test_it_stands_in_for_bubblewrap(
    root: Path, python: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    verdict = await verdict_of(root, python, wall="auto")
    assert (verdict.wall, verdict.hint) == ("landlock", None)


def refused(match: str) -> None:
    with pytest.raises(SandboxUnavailable, match=match):
        landlock.Landlock()


@pytest.mark.parametrize("version", [0, 1])
def test_a_system_without_landlock(monkeypatch: pytest.MonkeyPatch, version: int) -> None:
    monkeypatch.setattr(system, "abi", lambda: version)
    refused("needs Linux 5.19 or newer")


def test_an_old_system_and_an_ordinary_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its code could end the server with a signal."""
    monkeypatch.setattr(system, "abi", lambda: 5)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    refused("Linux 6.12 or newer, or a server that is root")


def test_a_root_without_capabilities(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(landlock, "_CAPABILITIES", 1 << 63)
    refused("capabilities CHOWN, .* SETUID")


def test_no_link_and_no_root_to_make_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landlock, "LINK", tmp_path / "data")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    refused("needs a link, made once as root: ln -s /proc/self/cwd /mnt/data")


def test_root_makes_the_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landlock, "LINK", tmp_path / "mnt/data")
    monkeypatch.setattr(landlock, "_CAPABILITIES", 0)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    for _ in range(2):
        landlock.Landlock()
        assert os.readlink(tmp_path / "mnt/data") == "/proc/self/cwd"


@pytest.mark.parametrize("make", [Path.mkdir, Path.touch, lambda path: path.symlink_to("/srv")])
def test_something_else_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], object]
) -> None:
    make(tmp_path / "data")
    monkeypatch.setattr(landlock, "LINK", tmp_path / "data")
    refused("there is something else: move that away")


def test_signals_that_could_leave_the_jail() -> None:
    """What ends a jail signals everybody whom it may; it must not begin where that is the server too."""
    with pytest.raises(PermissionError, match="could leave the jail"):
        reaper.prove_harmless(os.getpid())


if ROOT:

    async def test_a_way_that_is_shut(tmp_path: Path, python: Path) -> None:
        """Pytest's folders let nobody else pass."""
        hint = (await verdict_of(tmp_path, python)).hint or ""
        assert "chmod o+x" in hint
        assert "--data-dir" in hint

    async def test_a_python_that_only_root_may_read(root: Path, python: Path, tmp_path: Path) -> None:
        (tmp_path / "linked").symlink_to(python.parent.parent)
        hint = (await verdict_of(root, tmp_path / "linked/bin/python")).hint or ""
        assert "--sandbox-python" in hint

    async def test_an_old_system_and_a_root_server(
        root: Path, python: Path, host: Host, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Its sessions have users of their own, which hold what that system's Landlock does not know."""
        monkeypatch.setattr(system, "abi", lambda: 2)
        sandbox = Sandbox(wall="landlock", root=root / "old", python=python)
        try:
            attempts = {**HOST_FILES, **OTHERS, **SOCKETS}
            assert await outcomes(Caller(sandbox, "a"), host.named(attempts)) == dict.fromkeys(attempts)
        finally:
            await sandbox.aclose()
        assert host.untouched()

    def test_all_of_it_as_an_ordinary_user() -> None:
        """The same tests, where the code's user is the server's."""
        here = Path(__file__)
        user = 12345
        tests = [here.with_name(f"test_{name}.py") for name in ("landlock", "landlock_breaches", "walls")]
        command: list[str | Path] = [
            readable_python(),
            *(["-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "landlock"]),
            here,
            *tests,
        ]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(
            command,
            cwd=here.parents[2],
            env={**environment, "HOME": "/nonexistent"},
            user=user,
            group=user,
            extra_groups=[],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
