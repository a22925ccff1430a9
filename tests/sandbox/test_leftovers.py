"""Nothing is left: no process, no folder, no descriptor; also when the server is killed."""

import ctypes
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import anyio
import pytest

from understudy_sandbox import Sandbox, SandboxUnavailable
from understudy_sandbox.folders import PREFIX, RunFolders, sweep

from .conftest import Caller, text

pytestmark = pytest.mark.anyio
WALLS = ("bubblewrap", "landlock")

Descendants = Callable[[int], set[int]]


def test_a_data_folder_is_never_swept(tmp_path: Path) -> None:
    """A server's data folder in the temporary folder has a lock too, which nobody holds while the server is down."""
    kept = [tmp_path / name for name in ("understudy", "understudy-data", "us-data", f"{PREFIX}mine")]
    for folder in kept:
        folder.mkdir()
        (folder / "lock").touch()
        (folder / "understudy.db").write_text("precious")
    sweep(tmp_path)
    assert all((folder / "understudy.db").exists() for folder in kept)


@pytest.fixture
def passing(root: Path, wall: str, python: Path | None) -> Sandbox:
    """A sandbox that the test itself closes."""
    return Sandbox(wall=wall, root=root / f"{wall}-passing", python=python)


async def test_closing_leaves_nothing(sandbox: Sandbox, passing: Sandbox, descendants: Descendants) -> None:
    await sandbox.probe()
    processes, files = descendants(os.getpid()), len(os.listdir("/proc/self/fd"))
    daemon = "import os, subprocess; subprocess.Popen(['setsid', 'sleep', '1000'])"
    for key in ("a", "b"):
        await Caller(passing, key).logs(daemon)
    assert len(descendants(os.getpid()) - processes) >= 6
    folders = passing._folders
    assert folders is not None
    await passing.aclose()
    assert descendants(os.getpid()) <= processes
    assert not folders.path.exists()
    assert len(os.listdir("/proc/self/fd")) <= files
    with pytest.raises(SandboxUnavailable, match="shutting down"):
        await passing.session("a")


async def test_closing_ends_a_running_call(passing: Sandbox) -> None:
    caller = Caller(passing, "a")
    await caller.logs("1")
    async with anyio.create_task_group() as group:
        group.start_soon(_expect_death, caller)
        await anyio.sleep(0.3)
        await passing.aclose()


async def _expect_death(caller: Caller) -> None:
    assert (await caller("import time; time.sleep(30)")).status == "died"


async def test_discarding_deletes_the_files(caller: Caller, descendants: Descendants) -> None:
    before = descendants(os.getpid())
    await caller.logs("x = 1; open('a', 'w').close()")
    session = await caller.session()
    await caller.sandbox.discard(caller.key)
    assert not session.files.path.exists()
    assert descendants(os.getpid()) <= before
    result = await caller("import os; print(os.listdir()); x")
    assert text(result).startswith("[]\n")
    assert "NameError" in text(result)


async def test_files_of_sessions_that_are_gone_are_deleted(tmp_path: Path) -> None:
    sandbox = Sandbox(root=tmp_path / "root")
    await sandbox.keep_only(["a"])
    for key in "ab":
        await Caller(sandbox, key).logs("import os; os.makedirs('deep/er')")
    await sandbox.aclose()
    before = set(os.listdir(tmp_path / "root"))
    await Sandbox(root=tmp_path / "root").keep_only(["a", "c"])
    assert before - set(os.listdir(tmp_path / "root")) == {sandbox._files("b").path.name}


SERVER = """
import asyncio, sys
from pathlib import Path
from understudy_sandbox import Sandbox

async def say(output):
    print(output.text, flush=True)

async def main():
    session = await Sandbox(wall=sys.argv[1], root=Path(sys.argv[2]), python=Path(sys.argv[3])).session("a")
    await session.execute("import subprocess, time; p = subprocess.Popen(['setsid', 'sleep', '1000'])", say)
    await session.execute("print('here', flush=True); time.sleep(1000)", say)

asyncio.run(main())
"""


def test_a_killed_server_leaves_no_jail(
    root: Path, tmp_path: Path, wall: str, python: Path | None, descendants: Descendants
) -> None:
    base = Path(tempfile.mkdtemp(dir="/tmp"))  # short, as sockets' paths are, and nobody else's
    script = tmp_path / "server.py"
    script.write_text(SERVER)
    base.chmod(0o755)
    environment = {**os.environ, "TMPDIR": str(base)}
    command: list[str | Path] = [sys.executable, script, wall, root / f"{wall}-killed", python or sys.executable]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == b"here\n"
        jailed = descendants(server.pid)
        assert len(jailed) >= 3
        server.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 5
    while (alive := {pid for pid in jailed if _runs(pid)}) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not alive
    assert list(base.glob(f"{PREFIX}*"))
    sweep(base)
    assert not list(base.glob(f"{PREFIX}*"))
    base.rmdir()


KILLED_EARLY = """
import asyncio, os, sys, time
from pathlib import Path
from understudy_sandbox import Sandbox
from understudy_sandbox.provisioner import WalledProvisioner

spawn = WalledProvisioner._spawn

def spawn_and_die(self):
    spawn(self)
    time.sleep(float(sys.argv[2]))
    os.kill(os.getpid(), 9)

WalledProvisioner._spawn = spawn_and_die

async def main():
    session = await Sandbox(root=Path(sys.argv[1])).session("a")
    await session.execute("1", print)

asyncio.run(main())
"""


@pytest.mark.parametrize("seconds", [0.0, 0.001, 0.003, 0.01, 0.02])
def test_a_server_killed_while_it_builds_a_jail_leaves_none(
    seconds: float, tmp_path: Path, descendants: Descendants, foster_parent: None
) -> None:
    before = descendants(os.getpid())
    done = subprocess.run([sys.executable, "-c", KILLED_EARLY, tmp_path, str(seconds)], timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    deadline = time.monotonic() + 20
    while (left := descendants(os.getpid()) - before) and time.monotonic() < deadline:
        time.sleep(0.02)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert not left


@pytest.fixture
def foster_parent() -> Iterator[None]:
    """Orphans below this process become its children."""
    subreaper = 36
    ctypes.CDLL(None).prctl(subreaper, 1, 0, 0, 0)
    yield
    ctypes.CDLL(None).prctl(subreaper, 0, 0, 0, 0)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_living_servers_folders_are_not_swept(tmp_path: Path) -> None:
    folders = RunFolders(tmp_path)
    try:
        sweep(folders.path.parent)
        assert folders.path.exists()
    finally:
        folders.remove()
    assert not folders.path.exists()
