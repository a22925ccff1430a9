"""What happens when a limit strikes: the model is told, the session stays usable, neighbours do not notice."""

import time
from pathlib import Path

import anyio
import pytest

from understudy_sandbox import Sandbox, SandboxLimits
from understudy_sandbox.limits import MIB

from .conftest import Caller, images, text

pytestmark = pytest.mark.anyio
WALLS = ("bubblewrap", "landlock")


async def test_a_slow_call_is_interrupted_and_keeps_its_state(hurried: Caller) -> None:
    await hurried.logs("import time; x = 1")
    result = await hurried("print('start', flush=True); time.sleep(30)")
    assert result.status == "timeout"
    assert "longer than 1 seconds" in (result.note or "")
    assert "KeyboardInterrupt" in text(result)
    assert text(result).endswith((result.note or "") + "\n")
    assert await hurried.logs("x") == "1\n"


@pytest.mark.parametrize(
    "code",
    [
        "while True:\n try:\n  while True: pass\n except BaseException: pass",
        "import re; re.match(r'(a+)+$', 'a' * 60 + 'b')",
        "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])\nwhile True: pass",
    ],
    ids=["catches it", "a regular expression", "blocks the signal"],
)
async def test_a_call_that_does_not_stop_is_killed(hurried: Caller, code: str) -> None:
    await hurried.logs("x = 1")
    started = time.monotonic()
    result = await hurried(code)
    assert result.status == "timeout"
    assert time.monotonic() - started < 5
    assert await hurried.logs("1 + 1")


async def test_a_flood_of_output_is_stopped(hurried: Caller) -> None:
    result = await hurried("line = 'x' * 1000\nwhile True: print(line)")
    assert result.status == "output_limit"
    assert len(text(result).encode()) < 258 * 1024
    assert "more than 2 MiB of output" in (result.note or "")
    assert (await hurried.logs("1 + 1")).startswith("2\n")


async def test_a_gigantic_line_is_stopped(hurried: Caller) -> None:
    result = await hurried("print('x' * 100_000_000)")
    assert result.status == "output_limit"
    assert "more than 2 MiB of output" in (result.note or "")
    assert (await hurried.logs("1 + 1")).startswith("2\n"), "what was still on its way flooded the next call"


async def test_a_flood_that_is_over_when_it_is_seen(root: Path, wall: str, python: Path | None) -> None:
    """All of it has come, its end too, before the event loop looks: there is nothing to interrupt."""
    limits = SandboxLimits(timeout=30.0, received=MIB // 2, warm=0)
    sandbox = Sandbox(wall=wall, root=root / f"{wall}-flooded", python=python, limits=limits)
    caller = Caller(sandbox, "flood")

    async def be_busy() -> None:
        await anyio.sleep(0.2)
        time.sleep(1.5)  # noqa: ASYNC251 - the event loop has other work

    try:
        await caller.logs("import time")
        async with anyio.create_task_group() as group:
            group.start_soon(be_busy)
            result = await caller("time.sleep(0.4)\nprint('x' * 600_000)")
        assert result.status == "output_limit"
        assert "sent more than 0.5 MiB of output" in (result.note or "")
        assert await caller.logs("1 + 1") == "2\n"
    finally:
        await sandbox.aclose()


async def test_a_flood_below_python_is_stopped(hurried: Caller) -> None:
    result = await hurried("import subprocess; subprocess.run(['yes', 'x' * 1000])")
    assert result.status == "output_limit"


async def test_long_output_is_cut(caller: Caller) -> None:
    result = await caller("print('é' * 400_000)")
    assert result.status == "ok"
    assert "cut" in (result.note or "")
    assert 250 * 1024 < len(text(result).encode()) < 258 * 1024


async def test_one_message_beyond_all_limits_ends_the_kernel(hurried: Caller) -> None:
    result = await hurried("from IPython.display import HTML\nHTML('x' * 10_000_000)")
    assert result.status == "protocol_error"
    assert (await hurried.logs("1 + 1")).startswith("2\n")


async def test_images_are_counted(hurried: Caller) -> None:
    code = "from PIL import Image\nfor i in range(5): display(Image.new('RGB', (9, 9), (i, 0, 0)))"
    result = await hurried(code)
    assert len(images(result)) == 2
    assert "3 images were left out" in (result.note or "")


async def test_memory_and_files_are_bounded(caller: Caller) -> None:
    assert "MemoryError" in text(await caller("x = bytearray(20 * 2**30)"))
    result = await caller("f = open('big', 'wb'); f.truncate(2**40)")
    assert "File too large" in text(result)


async def test_too_many_files_are_told(hurried: Caller) -> None:
    result = await hurried("for i in range(201): open(f'f{i}', 'w').close()")
    assert result.status == "killed:files"
    assert "more than 200 files" in (result.note or "")
    assert int((await hurried.logs("import os; len(os.listdir())")).split()[0]) == 150


async def test_deep_folders_are_told(caller: Caller) -> None:
    result = await caller("import os\nfor i in range(200): os.mkdir('d'); os.chdir('d')")
    assert (result.status, result.changed_files) == ("killed:files", ())
    assert "nested more than 16 deep" in (result.note or "")
    assert "deleted from /mnt/data: d." in (result.note or "")


async def test_the_least_recently_used_kernel_gives_way(sandbox: Sandbox) -> None:
    small = Sandbox(root=sandbox._root / "small", limits=SandboxLimits(sessions=2))
    try:
        callers = [Caller(small, key) for key in "abc"]
        for caller in callers:
            await caller.logs("x = 1")
        assert (await callers[2]("x")).note is None
        assert (await callers[1]("x")).note is None
        assert "variables and imports are gone" in ((await callers[0]("1")).note or "")
    finally:
        await small.aclose()


async def test_room_that_came_while_it_was_looked_for_is_taken(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = Sandbox(root=sandbox._root / "crowded", limits=SandboxLimits(sessions=1))
    first, second = Caller(small, "a"), Caller(small, "b")
    await first.logs("1")

    async def wait_for_a_jail_in_the_making() -> bool:
        await (await first.session()).close()
        return False

    monkeypatch.setattr(small._pool, "give_way", wait_for_a_jail_in_the_making)
    try:
        assert await second.logs("1 + 1") == "2\n"
    finally:
        monkeypatch.undo()
        await small.aclose()


async def test_an_idle_kernel_is_closed(sandbox: Sandbox) -> None:
    sleepy = Sandbox(root=sandbox._root / "sleepy", limits=SandboxLimits(idle=0.0))
    try:
        caller = Caller(sleepy, "a")
        await caller.logs("x = 1")
        assert "NameError" in text(await caller("x"))
    finally:
        await sleepy.aclose()
