"""Every way to have no wall says what to do about it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from understudy_sandbox import Sandbox, SandboxUnavailable, Verdict
from understudy_sandbox import sandbox as sandbox_module

from .conftest import Caller

pytestmark = pytest.mark.anyio


async def verdict_of(root: Path, python: Path | None = None, wall: str = "bubblewrap") -> Verdict:
    sandbox = Sandbox(wall=wall, root=root, python=python)
    try:
        return await sandbox.probe()
    finally:
        await sandbox.aclose()


async def test_bubblewrap_holds_here(sandbox: Sandbox) -> None:
    verdict = await sandbox.probe()
    assert (verdict.wall, verdict.hint) == ("bubblewrap", None)
    assert await sandbox.probe() is verdict


async def test_switched_off(tmp_path: Path) -> None:
    sandbox = Sandbox(wall="off", root=tmp_path)
    with pytest.raises(SandboxUnavailable, match="--sandbox auto"):
        await sandbox.session("a")


def test_an_unknown_wall_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="bubblewrap, docker, landlock, gateway, unsafe-local"):
        Sandbox(wall="paper", root=tmp_path)


async def test_bubblewrap_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    verdict = await verdict_of(tmp_path)
    assert verdict.wall is None
    for remedy in ("apt-get install bubblewrap", "unsafe-local"):
        assert remedy in (verdict.hint or "")


async def test_no_engine_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "Neither Docker nor Podman is installed" in ((await verdict_of(tmp_path, wall="docker")).hint or "")


async def test_what_is_mended_is_found_without_a_restart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sandbox = Sandbox(wall="bubblewrap", root=tmp_path / "root")
    with monkeypatch.context() as patch:
        patch.setenv("PATH", str(tmp_path))
        refused = await sandbox.probe()
    assert await sandbox.probe() is refused, "not looked for at each call"
    monkeypatch.setattr(sandbox_module, "_AGAIN", 0.0)
    assert (await sandbox.probe()).wall == "bubblewrap"
    await sandbox.aclose()


@pytest.fixture
def bare_python(tmp_path: Path) -> Path:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True)
    return tmp_path / "bare/bin/python"


async def test_the_kernel_is_missing(bare_python: Path, tmp_path: Path) -> None:
    verdict = await verdict_of(tmp_path / "root", bare_python)
    assert verdict.wall is None
    assert "pip install ipykernel pandas matplotlib" in (verdict.hint or "")


async def test_the_interpreter_is_missing(tmp_path: Path) -> None:
    verdict = await verdict_of(tmp_path, tmp_path / "nothing")
    assert "--sandbox-python" in (verdict.hint or "")


async def test_the_folder_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "cannot prepare its folders" in ((await verdict_of(tmp_path / "file" / "root")).hint or "")


def fake_bubblewrap(folder: Path, script: str) -> None:
    path = folder / "bwrap"
    path.write_text(f"#!/bin/sh\n[ $1 = --version ] && echo bubblewrap $VERSION && exit\n{script}\n")
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("message", "remedy"),
    [
        ("bwrap: No permissions to create new namespace", "unprivileged_userns_clone"),
        ("bwrap: Creating new namespace failed: Operation not permitted", "unprivileged_userns_clone"),
        ("bwrap: setting up uid map: Permission denied", "bwrap-userns-restrict"),
        ("bwrap: loopback: Failed RTM_NEWADDR: Operation not permitted", "bwrap-userns-restrict"),
        ("bwrap: Can't mount proc on /newroot/proc: Operation not permitted", "systempaths=unconfined"),
        ("bwrap: Failed to make / slave: Permission denied", "apparmor=unconfined"),
        ("bwrap: pivot_root: Operation not permitted", "apparmor=unconfined"),
        ("bwrap: execvp /home/x/bin/python: Permission denied", "--sandbox-python"),
    ],
)
async def test_what_bubblewrap_says_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, message: str, remedy: str
) -> None:
    fake_bubblewrap(tmp_path, f'echo "{message}" >&2; exit 1'.replace("$VERSION", "0.8"))
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("VERSION", "0.8.0")
    sandbox = Sandbox(wall="bubblewrap", root=tmp_path)
    with pytest.raises(SandboxUnavailable) as caught:
        await sandbox.session("a")
    await sandbox.aclose()
    assert remedy in str(caught.value)
    assert message in str(caught.value)


async def test_bubblewrap_is_too_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_bubblewrap(tmp_path, "exit 1")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("VERSION", "0.6.1")
    assert "0.8 or newer" in ((await verdict_of(tmp_path)).hint or "")


@pytest.mark.parametrize(
    ("message", "remedy"),
    [
        ("Cannot connect to the Docker daemon at unix:///var/run/docker.sock.", "docker does not answer (Cannot"),
        ("Error response from daemon: No such image: understudy-kernel:latest", "docker build -f docker/kernel"),
        ("Error: inspecting object: understudy-kernel: image not known", "-t understudy-kernel ."),
    ],
)
async def test_what_an_engine_says_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, message: str, remedy: str
) -> None:
    (tmp_path / "docker").write_text(f"#!/bin/sh\necho '{message}' >&2; exit 1\n")
    (tmp_path / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert remedy in ((await verdict_of(tmp_path, wall="docker")).hint or "")


async def test_the_gateways_address_is_missing(tmp_path: Path) -> None:
    assert "--sandbox-url" in ((await verdict_of(tmp_path, wall="gateway")).hint or "")


def test_the_canary_finds_this_process_unwalled(tmp_path: Path) -> None:
    """Outside a jail hardly a wall holds. A process of its own, since the canary enters another user namespace."""
    secret = tmp_path / "secret"
    secret.touch()
    told = {
        "network": os.readlink("/proc/self/ns/net"),
        "rooted": True,
        "server": os.getppid(),
        "environment": [],
        "secret": str(secret),
        "read_only": [str(tmp_path)],
    }
    program = (
        "import json, sys; from understudy_sandbox.inside import canary;"
        "print(json.dumps(canary.findings(json.loads(sys.argv[1]))))"
    )
    done = subprocess.run([sys.executable, "-c", program, json.dumps(told)], capture_output=True, check=True)
    held = json.loads(done.stdout)
    for name in (
        "network",
        "environment",
        "host files",
        "host processes",
        "read-only system",
        "seccomp",
        "new privileges",
    ):
        assert not held[name], name


async def test_a_python_behind_a_link(tmp_path: Path) -> None:
    """The environment is reached through a link to its folder, as uv makes them for its Pythons."""
    (tmp_path / "linked").symlink_to(sys.prefix)
    sandbox = Sandbox(root=tmp_path / "root", python=tmp_path / "linked/bin/python")
    try:
        assert (await sandbox.probe()).hint is None
        prefix = await Caller(sandbox, "a").logs("import sys; print(sys.prefix)")
        assert prefix == f"{tmp_path / 'linked'}\n"
    finally:
        await sandbox.aclose()
