"""The limits of a jail as a whole: what is used is found wherever it hides, and the session lives on.

The hogs hold what they took and wait, so that only the watchdog can end their calls.
"""

import time
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from understudy_sandbox import KernelSession, Sandbox, SandboxLimits, processes
from understudy_sandbox.limits import MIB

from .conftest import SOCKETS, Caller, text, watched

pytestmark = pytest.mark.anyio
WALLS = ("bubblewrap", "landlock")

LOST = "variables and imports are gone"
HOLD = "\nimport time; time.sleep(60)"
FORKS = """
import os
for _ in range(20):
    if os.fork() == 0:
        held = bytearray(os.urandom(1)) * (12 << 20)
        time.sleep(60)
"""

MEMORY = {
    "heap": "held = [bytearray(b'x') * (16 << 20) for _ in range(16)]",
    "numpy": "import numpy; held = numpy.ones(32 << 20)",
    "20 forked hogs": "import time" + FORKS,
    "shared with nobody": "import mmap; held = mmap.mmap(-1, 200 << 20); held[:] = b'x' * (200 << 20)",
}

DISK = {
    "many files": "for i in range(5): open(f'big{i}', 'wb').write(b'x' * (20 << 20))",
    "in folders": "import os\nfor i in range(5): os.mkdir(f'{i}'); open(f'{i}/big', 'wb').write(b'x' * (20 << 20))",
    "in a shut folder": (
        "import os; os.mkdir('d')\nfor i in range(5): open(f'd/{i}', 'wb').write(b'x' * (20 << 20))\nos.chmod('d', 0)"
    ),
    "under names that are no text": (
        "import os\nfor i in range(5): open(b'\\xff%d' % i, 'wb').write(b'x' * (20 << 20))"
    ),
    "deleted but open": (
        "import os; held = []\nfor i in range(5):\n"
        " held.append(open('x', 'wb', 0)); held[-1].write(b'x' * (20 << 20)); os.unlink('x')"
    ),
    "deleted but mapped": (
        "import mmap, os; held = []\nfor i in range(5):\n with open('x', 'w+b', 0) as f:\n"
        "  f.write(b'x' * (20 << 20)); held.append(mmap.mmap(f.fileno(), 20 << 20)); os.unlink('x')\n"
        " os.close(os.open('/dev/null', 0))"
    ),
}

FILES = {
    "a million files": "for i in range(1_000_000): open(f'f{i}', 'w').close()",
    "a million files in a folder": "import os; os.mkdir('d')\nfor i in range(1_000_000): open(f'd/f{i}', 'w').close()",
    "a million links": "import os\nfor i in range(1_000_000): os.symlink('/etc/passwd', f'f{i}')",
    "20,000 nested folders": "import os\nfor i in range(20_000): os.mkdir('d'); os.chdir('d')",
}

FEW_NESTED = "import os\nfor i in range(50): os.mkdir('d'); os.chdir('d')"

HARMLESS = {
    "sparse files": "for i in range(100): open(f'sparse{i}', 'wb').truncate(23 << 20)",
    "a file of many names": (
        "import os; open('x', 'wb').write(b'x' * (20 << 20))\nfor i in range(20): os.link('x', f'x{i}')"
    ),
    "memory that many share": (
        "import mmap, os; held = mmap.mmap(-1, 60 << 20); held[:] = b'x' * (60 << 20)\nchildren = []\n"
        "for _ in range(8):\n child = os.fork()\n if child == 0: sum(held[::4096]); time.sleep(1.2); os._exit(0)\n"
        " children.append(child)\nfor child in children: os.waitpid(child, 0)"
    ),
    "memory that was given back": "for _ in range(30): held = bytearray(b'x') * (40 << 20); time.sleep(0.02)",
}


async def struck(caller: Caller, code: str, status: str) -> str:
    """Run what a limit must end; what the model is told. The session must live on, with what it had before."""
    await caller.logs("x = 1; open('kept', 'w').write('kept')")
    started = time.monotonic()
    result = await caller(f"import time\n{code}{HOLD}")
    assert result.status == status, text(result)
    assert time.monotonic() - started < 25
    assert result.note is not None
    assert result.note in text(result).replace("\n", " ")
    assert LOST in result.note
    assert result.note.encode(), "what is told is text"
    after = await caller("print(open('kept').read(), 'x' in globals())")
    assert text(after).startswith("kept False\n"), text(after)
    assert LOST in (after.note or "")
    assert (await caller("1")).note is None
    return result.note


@pytest.mark.parametrize("name", MEMORY)
async def test_memory(cramped: Caller, name: str) -> None:
    assert "more than 192 MiB of memory" in await struck(cramped, MEMORY[name], "killed:memory")


@pytest.mark.parametrize("name", DISK)
async def test_disk(cramped: Caller, name: str) -> None:
    assert "more than 48 MiB of files" in await struck(cramped, DISK[name], "killed:disk")
    session = await cramped.session()
    assert session.files.excess(session.files.snapshot()) is None


@pytest.mark.parametrize("name", FILES)
async def test_files(cramped: Caller, name: str) -> None:
    told = await struck(cramped, FILES[name], "killed:files")
    assert "more than 300 files, or folders nested more than 16 deep" in told
    assert "were deleted from /mnt/data" in told
    session = await cramped.session()
    assert session.files.excess(session.files.snapshot()) is None
    started = time.monotonic()
    await cramped.sandbox.discard(cramped.key)
    assert not session.files.path.exists()
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("name", HARMLESS)
async def test_what_only_looks_large_may_stay(cramped: Caller, name: str) -> None:
    result = await cramped(f"import time\n{HARMLESS[name]}\ntime.sleep(0.7)")
    assert (result.status, result.note) == ("ok", None), text(result)


@pytest.mark.parametrize("code", [MEMORY["heap"], DISK["many files"], FEW_NESTED])
async def test_without_the_watchdog_nothing_ends_them(root: Path, code: str) -> None:
    """The tests above can fail."""
    limits = SandboxLimits(timeout=2.0, grace=1.0, memory=192 * MIB, disk=48 * MIB, files=300)
    sandbox = Sandbox(root=root / "unwatched", limits=limits)
    try:
        session, caller = await sandbox.session("a"), Caller(sandbox, "a")
        await caller.logs("1")
        kernel = session.kernel
        assert kernel is not None
        async with anyio.create_task_group() as group:
            group.start_soon(caller, code + HOLD)
            await anyio.sleep(1.5)
            assert kernel.running
    finally:
        await sandbox.aclose()


async def test_the_folder_of_the_sockets_counts(cramped: Caller) -> None:
    """As an ordinary user the code can write there; as root's own user it cannot."""
    code = f"folder = {SOCKETS}\nfor i in range(4): open(f'{{folder}}/x{{i}}', 'wb').write(b'x' * (20 << 20))"
    result = await cramped(code + HOLD)
    assert result.status == "killed:disk" or "Permission denied" in text(result)
    assert await cramped.logs("1 + 1")


async def test_given_files_are_no_excess(cramped: Caller, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"x" * (60 * MIB))
    session = await cramped.session()
    await session.add_file("given.csv", source)
    assert await cramped.logs("import os, time; time.sleep(0.6); os.path.getsize('given.csv')") == f"{60 * MIB}\n"
    assert "given.csv" not in await struck(cramped, DISK["many files"], "killed:disk")
    assert "'given.csv'" in await cramped.logs("import os; os.listdir()")


async def test_what_was_there_before_is_deleted_last(cramped: Caller) -> None:
    await cramped.logs("open('old', 'wb').write(b'x' * (21 << 20)); None")
    result = await cramped("for i in range(2): open(f'new{i}', 'wb').write(b'x' * (20 << 20))")
    assert result.status == "killed:disk"
    assert "deleted from /mnt/data: new" in text(result)
    assert "old" not in text(result)
    assert "'old'" in await cramped.logs("import os; os.listdir()")


@pytest.mark.parametrize("work", [MEMORY["heap"], DISK["many files"]], ids=["memory", "disk"])
async def test_what_happens_between_calls_is_told(cramped: Caller, work: str) -> None:
    await cramped.logs("open('kept', 'w').close()")
    session = await cramped.session()
    held = f"import threading\ndef later():\n import time; time.sleep(0.3)\n exec({work + HOLD!r}, globals())\n"
    await cramped.logs(held + "threading.Thread(target=later).start()")
    kernel = session.kernel
    assert kernel is not None
    await until(lambda: not kernel.running)
    result = await cramped("import os; 'kept' in os.listdir()")
    assert (result.status, text(result)[:5]) == ("ok", "True\n")
    assert "Between the calls" in (result.note or "") or "more in /mnt/data than is allowed" in (result.note or "")


async def until(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(20):
        while not condition():  # noqa: ASYNC110 - nothing tells
            await anyio.sleep(0.02)


@pytest.mark.parametrize("limits", [SandboxLimits(idle=0.3), SandboxLimits(age=0.3)], ids=["idle", "aged"])
async def test_kernels_are_closed_when_nobody_calls(root: Path, limits: SandboxLimits) -> None:
    async with watched(Sandbox(root=root / "swept", limits=limits)) as sandbox:
        session: KernelSession = await sandbox.session("a")
        caller = Caller(sandbox, "a")
        await caller.logs("import time; time.sleep(1)")
        await until(lambda: session.kernel is None)
        assert LOST in ((await caller("1")).note or "")


async def test_without_a_wall_too(root: Path) -> None:
    limits = SandboxLimits(timeout=30.0, memory=192 * MIB, disk=48 * MIB, files=300)
    async with watched(Sandbox(wall="unsafe-local", root=root / "local", limits=limits)) as sandbox:
        caller = Caller(sandbox, "a")
        memfd = "import os\nfor _ in range(10): os.write(os.memfd_create('x'), b'x' * (20 << 20))"
        for code in (MEMORY["heap"], memfd):
            await struck(caller, code, "killed:memory")
        await struck(
            caller,
            "import threading; threading.stack_size(65536)\n"
            "for _ in range(99): threading.Thread(target=time.sleep, args=(60,)).start()",
            "killed:processes",
        )
        await struck(caller, DISK["deleted but open"], "killed:disk")
        await struck(caller, FILES["a million files"], "killed:files")


async def test_a_hidden_share_counts_as_all(cramped: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    await cramped.logs("1")
    kernel = (await cramped.session()).kernel
    assert kernel is not None
    pids = processes.tree(kernel.pid)
    assert 20 * MIB < processes.proportional(pids) < processes.resident(pids)
    read = processes._read
    monkeypatch.setattr(processes, "_read", lambda path: b"" if path.endswith("smaps_rollup") else read(path))
    assert processes.proportional(pids) == processes.resident(pids)


async def test_processes_are_found_without_lists_of_children(cramped: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    begin = "p = subprocess.Popen(['setsid', 'sh', '-c', 'sleep 60 & echo; wait'], stdout=subprocess.PIPE)"
    await cramped.logs(f"import subprocess; {begin}; p.stdout.readline()")
    kernel = (await cramped.session()).kernel
    assert kernel is not None
    listed = processes.tree(kernel.pid)
    assert len(listed) >= 3
    monkeypatch.setattr(processes, "_LISTED", False)
    assert sorted(processes.tree(kernel.pid)) == sorted(listed)


async def test_processes_that_end_while_they_are_looked_at_count(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bomb's may be others at each look."""
    monkeypatch.setattr(processes, "threads", lambda pids: 0)
    async with watched(Sandbox(wall="unsafe-local", root=root / "bombed")) as sandbox:
        code = "import os, time\nfor _ in range(80):\n if os.fork() == 0: time.sleep(60); os._exit(0)" + HOLD
        await struck(Caller(sandbox, "a"), code, "killed:processes")


async def test_a_bomb_is_not_looked_through_to_its_end(cramped: Caller) -> None:
    await cramped.logs("import subprocess\nfor _ in range(8): subprocess.Popen(['sh', '-c', 'sleep 60; true'])")
    kernel = (await cramped.session()).kernel
    assert kernel is not None
    assert 4 < len(processes.tree(kernel.pid, 4)) < len(processes.tree(kernel.pid))
