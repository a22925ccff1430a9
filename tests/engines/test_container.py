"""The wall of containers, with a real engine: docker or podman, and the image of docker/kernel.Dockerfile."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.sandbox.conftest import Caller, text
from tests.sandbox.test_walls import ATTACK, REFUSED
from understudy_sandbox import Sandbox, SandboxLimits, WallOptions, container
from understudy_sandbox.jail import Jail
from understudy_sandbox.limits import MIB

pytestmark = pytest.mark.anyio

DIFFERENT = {
    "sys": "read-only, as every container sees it",
    "kernel memory": "an empty file is in its place",
    "raised limits": "the engine counts the processes of a container",
}


def engine(*arguments: str) -> list[str]:
    """What the engine in use says, by lines."""
    done = subprocess.run([container.find("understudy-kernel"), *arguments], capture_output=True, text=True, check=True)
    return done.stdout.split()


def left() -> list[str]:
    return engine("ps", "--all", "--quiet", "--filter", "label=understudy")


async def test_what_is_forbidden_is_refused(caller: Caller) -> None:
    await caller.logs(ATTACK)
    cases = {name: code for name, code in REFUSED.items() if name not in DIFFERENT}
    logs = await caller.logs(f"print({{name: attempt(code) for name, code in {cases!r}.items()}})")
    assert logs == f"{dict.fromkeys(cases)}\n"


async def test_the_hosts_files_and_processes_are_not_there(caller: Caller, root: Path) -> None:
    paths = [str(root), __file__, "/run/docker.sock", "/var/lib/docker"]
    assert await caller.logs(f"import os; print([p for p in {paths!r} if os.path.exists(p)])") == "[]\n"
    assert await caller.logs("print([f for _, _, fs in os.walk('/mnt') for f in fs], os.listdir('/mnt'))") == (
        "[] ['data']\n"
    )
    assert await caller.logs("print(len([name for name in os.listdir('/proc') if name.isdigit()]))") == "2\n"


KEEPER = """
import ctypes, os, resource, signal
libc = ctypes.CDLL(None, use_errno=True)
def refused(attempt):
    try:
        attempt()
    except OSError:
        return True
for number in range(1, 65):
    try:
        os.kill(1, number)
    except OSError:
        pass
print([refused(attempt) for attempt in (
    lambda: open('/proc/1/mem', 'r+b'), lambda: open('/proc/1/fd/0'), lambda: open('/proc/1/environ').read()
)], libc.ptrace(16, 1, 0, 0))
"""


async def test_the_first_process_is_out_of_reach(caller: Caller) -> None:
    assert await caller.logs(KEEPER) == "[True, True, True] -1\n"
    assert await caller.logs("1") == "1\n"


async def test_memory_that_fills_faster_than_anybody_looks(tmp_path: Path) -> None:
    sandbox = Sandbox(wall="docker", root=tmp_path, limits=SandboxLimits(memory=192 * MIB))
    caller = Caller(sandbox, "a")
    try:
        result = await caller("held = bytearray(b'x') * (300 << 20)")
        assert result.status == "killed:memory"
        assert "more than 192 MiB of memory" in text(result)
        killed = await caller("import os; os.kill(os.getpid(), 9)")
        assert killed.status == "died"
    finally:
        await sandbox.aclose()


async def test_closing_leaves_nothing(tmp_path: Path) -> None:
    files = len(os.listdir("/proc/self/fd"))
    before = left()
    sandbox = Sandbox(wall="docker", root=tmp_path)
    for key in ("a", "b"):
        await Caller(sandbox, key).logs("import subprocess; subprocess.Popen(['setsid', 'sleep', '1000'])")
    assert len(left()) == len(before) + 2
    await sandbox.aclose()
    assert gone(before)
    assert len(os.listdir("/proc/self/fd")) <= files


def gone(before: list[str]) -> bool:
    """Whether no container is left but those that were there; the engine removes them a moment after they ended."""
    deadline = time.monotonic() + 10
    while set(left()) - set(before) and time.monotonic() < deadline:
        time.sleep(0.1)
    return not set(left()) - set(before)


SERVER = """
import asyncio, sys
from pathlib import Path
from understudy_sandbox import Sandbox

async def say(output):
    print(output.text, flush=True)

async def main():
    session = await Sandbox(wall="docker", root=Path(sys.argv[1])).session("a")
    await session.execute("import subprocess, time; p = subprocess.Popen(['setsid', 'sleep', '1000'])", say)
    await session.execute("print('here', flush=True); time.sleep(1000)", say)

asyncio.run(main())
"""


def test_a_killed_server_leaves_no_container(tmp_path: Path) -> None:
    before = left()
    script = tmp_path / "server.py"
    script.write_text(SERVER)
    with subprocess.Popen([sys.executable, script, tmp_path / "root"], stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == b"here\n"
        assert len(left()) == len(before) + 1
        server.send_signal(signal.SIGKILL)
    assert gone(before)


async def test_what_is_left_is_swept_at_the_next_start(tmp_path: Path) -> None:
    """Only what nobody uses: a container of a server that lives stays."""
    sandbox = Sandbox(wall="docker", root=tmp_path)
    try:
        await Caller(sandbox, "a").logs("1")
        living = left()
        label = f"understudy={tmp_path / 'gone'}"
        flags = ["--rm", "--detach", "--network", "none", "--label", label, "--entrypoint", "sleep"]
        engine("run", *flags, "understudy-kernel", "1000")
        assert len(left()) == len(living) + 1
        container.Container("understudy-kernel")
        assert gone(living)
        assert set(living) <= set(left())
    finally:
        await sandbox.aclose()


Arguments = Callable[[Jail, str], list[str]]


def _with(real: Arguments, jail: Jail, image: str, *more: str) -> list[str]:
    return [*more, *real(jail, image)]


def _show(real: Arguments, jail: Jail, image: str) -> list[str]:
    jail.run.chmod(0o755)
    return _with(real, jail, image, "--volume", f"{jail.run}:{jail.run}")


def _instead(real: Arguments, jail: Jail, image: str, old: tuple[str, ...], *new: str) -> list[str]:
    found = real(jail, image)
    at = next(i for i in range(len(found)) if tuple(found[i : i + len(old)]) == old)
    return [*found[:at], *new, *found[at + len(old) :]]


BREACHES: dict[str, Callable[[Arguments, Jail, str], list[str]]] = {
    "network": lambda real, jail, image: _instead(real, jail, image, ("--network", "none"), "--network", "host"),
    "host processes": lambda real, jail, image: _with(real, jail, image, "--pid", "host"),
    "host files": _show,
    "environment": lambda real, jail, image: _instead(real, jail, image, ("-i",), "-i", "OPENAI_API_KEY=sk-secret"),
    "user": lambda real, jail, image: _instead(real, jail, image, ("--user", container._user(jail))),
    "read-only system": lambda real, jail, image: _with(real, jail, image, "--volume", f"{jail.data}:/mnt"),
    "filter was refused": lambda real, jail, image: _instead(
        real, jail, image, ("--security-opt", "no-new-privileges")
    ),
}


@pytest.mark.parametrize("part", BREACHES)
async def test_a_wall_that_is_down_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    monkeypatch.setattr(container, "arguments", partial(BREACHES[part], container.arguments))
    sandbox = Sandbox(wall="docker", root=tmp_path)
    verdict = await sandbox.probe()
    await sandbox.aclose()
    assert verdict.wall is None
    assert part in (verdict.hint or "")


async def test_an_image_that_is_missing(tmp_path: Path) -> None:
    sandbox = Sandbox(wall="docker", root=tmp_path, options=WallOptions(image="understudy-nothing"))
    assert "build -f docker/kernel.Dockerfile -t understudy-nothing ." in ((await sandbox.probe()).hint or "")
