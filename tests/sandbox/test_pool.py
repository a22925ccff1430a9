"""Jails that wait: ready before anybody asks, handed out once, never in anybody's way, and never left behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import anyio
import pytest
from openai import OpenAI

from tests.conftest import official_client
from tests.runs.streams import CODE, assistant_with, thread_with
from tests.scripted_upstream import Reply, ScriptedUpstream
from tests.server_process import ServerProcess
from understudy_sandbox import KernelSession, Sandbox, SandboxLimits
from understudy_sandbox.folders import PREFIX
from understudy_sandbox.limits import MIB

from .conftest import Caller, images, text, watched

pytestmark = pytest.mark.anyio

Descendants = Callable[[int], set[int]]
WARM = "import sys; print('matplotlib.pyplot' in sys.modules)"


@asynccontextmanager
async def pooled(root: Path, limits: SandboxLimits | None = None) -> AsyncIterator[Sandbox]:
    """A sandbox in which a jail waits."""
    async with watched(Sandbox(root=root, limits=limits)) as sandbox:
        await sandbox.probe()
        sandbox.expect()
        await until(lambda: sandbox.waiting == 1)
        yield sandbox


@pytest.fixture(scope="module")
async def pool(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Sandbox]:
    async with AsyncExitStack() as stack:
        yield await stack.enter_async_context(pooled(tmp_path_factory.mktemp("pool")))


@pytest.fixture
async def warm(pool: Sandbox, request: pytest.FixtureRequest) -> AsyncIterator[Caller]:
    """A key that nobody used before, and a jail that waits for it."""
    await until(lambda: pool.waiting == 1)
    caller = Caller(pool, request.node.nodeid)
    yield caller
    await pool.discard(caller.key)


async def until(true: Callable[[], bool]) -> None:
    with anyio.fail_after(30):
        while not true():  # noqa: ASYNC110
            await anyio.sleep(0.02)


def pid(session: KernelSession) -> int:
    assert session.kernel is not None
    return session.kernel.pid


async def test_a_jail_that_waits_is_handed_out(warm: Caller) -> None:
    (jail,) = warm.sandbox._pool.jails
    session = await warm.session()
    assert session.kernel is jail.kernel
    assert warm.sandbox.waiting == 0
    assert await warm.logs(WARM) == "True\n"


async def test_its_age_is_the_sessions(warm: Caller) -> None:
    asked = time.monotonic()
    session = await warm.session()
    assert session.kernel is not None
    assert session.kernel.started_at >= asked


async def test_nothing_shows_that_it_waited(warm: Caller, sandbox: Sandbox) -> None:
    code = "names = sorted(globals())\nprint(names, len(In), Out)\nimport os; print(os.getcwd(), os.listdir())"
    result = await warm(code)
    cold = Caller(sandbox, warm.key)
    assert text(result) == await cold.logs(code)
    assert (result.note, result.changed_files) == (None, ())
    await sandbox.discard(cold.key)


async def test_figures_are_the_same(warm: Caller, caller: Caller) -> None:
    code = "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.savefig('a.png')\nplt.show()"
    shown = await warm(code)
    assert images(shown) == images(await caller(code))
    assert len(images(shown)) == 1
    assert shown.changed_files == ("a.png",)
    assert len(images(await warm("import pandas as pd\npd.Series([1, 2]).plot();"))) == 1


async def test_no_two_sessions_get_the_same(warm: Caller, pool: Sandbox) -> None:
    first = await warm.session()
    await warm.logs("x = 1; open('mine', 'w').close()")
    await until(lambda: pool.waiting == 1)
    other = Caller(pool, "another")
    second = await other.session()
    result = await other("import os; print(os.listdir(), 'pandas' in __import__('sys').modules); x")
    assert text(result).startswith("[] True\n")
    assert "NameError" in text(result)
    assert pid(first) != pid(second)
    assert first.files.path != second.files.path
    await pool.discard("another")


async def test_sessions_at_once_get_one_each(warm: Caller, pool: Sandbox) -> None:
    callers = [warm, *(Caller(pool, f"at once {number}") for number in range(2))]
    said: list[str] = []

    async def ask(caller: Caller) -> None:
        said.append(await caller.logs(WARM))

    async with anyio.create_task_group() as group:
        for caller in callers:
            group.start_soon(ask, caller)
    assert sorted(said) == ["False\n", "False\n", "True\n"]
    assert len({pid(await caller.session()) for caller in callers}) == 3
    for caller in callers[1:]:
        await pool.discard(caller.key)


async def test_the_folder_is_the_sessions_and_stays(warm: Caller, pool: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "source").write_text("1,2")
    session = await warm.session()
    await session.add_file("in.csv", tmp_path / "source")
    assert (await warm("open('out.csv', 'w').write(open('in.csv').read())")).changed_files == ("out.csv",)
    with session.open_file("out.csv") as file:
        assert file.read() == b"1,2"
    assert (await warm("import os; os._exit(1)")).status == "died"
    after = await warm("import os; print(sorted(os.listdir())); open('out.csv', 'a').write('3')")
    assert text(after).startswith("['in.csv', 'out.csv']\n")
    assert "variables and imports are gone" in text(after)
    await session.close()
    later = Sandbox(root=pool._root)
    try:
        again = await Caller(later, warm.key)("open('out.csv', 'a').write('4'); print(open('out.csv').read())")
        assert text(again).startswith("1,23")
    finally:
        await later.aclose()


async def test_a_key_with_files_has_a_jail_of_its_own(warm: Caller, pool: Sandbox) -> None:
    await warm.logs("open('kept', 'w').close()")
    await (await warm.session()).close()
    await until(lambda: pool.waiting == 1)
    assert "True False\n" in await warm.logs("import os, sys; print(os.path.exists('kept'), 'pandas' in sys.modules)")
    assert pool.waiting == 1


async def test_one_that_died_is_not_handed_out(warm: Caller, pool: Sandbox, tmp_path: Path) -> None:
    (dead,) = pool._pool.jails
    os.kill(dead.kernel.pid, signal.SIGKILL)
    await until(lambda: not dead.kernel.running)
    assert pool._pool.take(tmp_path / "folder") is None
    assert await warm.logs("1 + 1") == "2\n"
    assert (await warm.session()).kernel is not dead.kernel
    await until(lambda: pool.waiting == 1 and pool._pool.jails != (dead,))
    assert not dead.files.path.exists()


async def test_the_watchdog_looks_at_them(tmp_path: Path) -> None:
    """What a jail with pandas takes is more than it may, so that one is ended as soon as it waits."""
    async with watched(Sandbox(root=tmp_path, limits=SandboxLimits(memory=70 * MIB))) as sandbox:
        await sandbox.probe()
        sandbox.expect()
        await until(lambda: any(jail.kernel.struck == "memory" for jail in sandbox._pool.jails))
        assert await Caller(sandbox, "a").logs("1 + 1") == "2\n"


async def test_it_gives_way(tmp_path: Path) -> None:
    async with pooled(tmp_path, SandboxLimits(sessions=2)) as sandbox:
        first, second = Caller(sandbox, "a"), Caller(sandbox, "b")
        await first.logs("x = 1")
        await until(lambda: sandbox.waiting == 1)
        sandbox._files("b").make()  # so that it cannot have the one that waits
        assert await second.logs(WARM) == "False\n"
        assert sandbox.waiting == 0
        sandbox.expect()
        await anyio.sleep(1.0)
        assert sandbox.waiting == 0
        assert await first.logs("x") == "1\n"


async def test_one_that_nobody_wants_does_not_wait_for_ever(tmp_path: Path) -> None:
    async with pooled(tmp_path, SandboxLimits(idle=2.0)) as sandbox:
        (jail,) = sandbox._pool.jails
        await until(lambda: sandbox.waiting == 0)
        await until(lambda: not jail.files.path.exists())
        await anyio.sleep(1.0)
        assert sandbox.waiting == 0
        sandbox.expect()
        await until(lambda: sandbox.waiting == 1)


async def test_none_waits_before_code_is_expected(tmp_path: Path, descendants: Descendants) -> None:
    before = descendants(os.getpid())
    async with watched(Sandbox(root=tmp_path)) as sandbox:
        await sandbox.probe()
        await anyio.sleep(0.5)
        assert descendants(os.getpid()) <= before


@pytest.mark.parametrize(("wall", "warm"), [("auto", 0), ("unsafe-local", 1)])
async def test_none_waits(wall: str, warm: int, tmp_path: Path, descendants: Descendants) -> None:
    before = descendants(os.getpid())
    async with watched(Sandbox(wall=wall, root=tmp_path, limits=SandboxLimits(warm=warm))) as sandbox:
        await sandbox.probe()
        sandbox.expect()
        await anyio.sleep(0.5)
        assert descendants(os.getpid()) <= before


@pytest.mark.parametrize("seconds", [0.1, 0.3, 0.6])
async def test_closing_ends_those_that_wait_or_are_made(
    seconds: float, tmp_path: Path, descendants: Descendants
) -> None:
    before, files = descendants(os.getpid()), len(os.listdir("/proc/self/fd"))
    async with watched(Sandbox(root=tmp_path, limits=SandboxLimits(warm=2))) as sandbox:
        await sandbox.probe()
        sandbox.expect()
        await anyio.sleep(seconds)
    assert descendants(os.getpid()) <= before
    assert os.listdir(tmp_path) == ["fonts"]
    assert len(os.listdir("/proc/self/fd")) <= files


SERVER = """
import asyncio, sys
from pathlib import Path
from understudy_sandbox import Sandbox

async def say(output):
    pass

async def main():
    sandbox = Sandbox(root=Path(sys.argv[1]))
    watch = asyncio.create_task(sandbox.watch())
    await sandbox.probe()
    sandbox.expect()
    for key in ("a", "b"):
        while not sandbox.waiting:
            await asyncio.sleep(0.01)
        if key == "a":
            session = await sandbox.session(key)
            await session.execute("open('kept', 'w').close()", say)
    print("ready", flush=True)
    await watch

asyncio.run(main())
"""


async def test_what_a_killed_server_left_is_swept(tmp_path: Path, descendants: Descendants) -> None:
    script, root = tmp_path / "server.py", tmp_path / "root"
    script.write_text(SERVER)
    with subprocess.Popen([sys.executable, script, root], stdout=subprocess.PIPE) as server:  # noqa: ASYNC220
        assert server.stdout is not None
        assert server.stdout.readline() == b"ready\n"
        jailed = descendants(server.pid)
        assert len(jailed) >= 6
        living = Sandbox(root=root)
        await living.probe()
        assert list(root.glob(f"{PREFIX}*/*/data")), "another's jail waits here"
        await living.aclose()
        server.send_signal(signal.SIGKILL)
    await until(lambda: not any(Path(f"/proc/{one}/cmdline").exists() for one in jailed))
    later = Sandbox(root=root)
    try:
        await later.probe()
        assert not list(root.glob(f"{PREFIX}*"))
        assert "kept" in await Caller(later, "a").logs("import os; print(os.listdir())")
    finally:
        await later.aclose()


def test_a_run_announces_its_code(upstream: ScriptedUpstream, tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "data", "--upstream", upstream.url)
    deadline = time.monotonic() + 60
    with official_client(server) as client:
        run_with(client, upstream.script(Reply("no code")))
        while not list((server.data_dir / "sandbox").glob(f"{PREFIX}*/*/data")):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        code = Reply(calls=[("code_interpreter", {"code": WARM})])
        while "True" not in run_with(client, upstream.script(code, Reply("done"))):
            assert time.monotonic() < deadline
            time.sleep(1.0)
    assert server.stop() == 0


def run_with(client: OpenAI, model: str) -> str:
    """The steps of a run in a thread of its own."""
    assistant = assistant_with(client, model, [CODE])
    run = client.beta.threads.runs.create_and_poll(thread_id=thread_with(client), assistant_id=assistant)
    assert run.status == "completed", run.last_error
    return client.beta.threads.runs.steps.list(run.id, thread_id=run.thread_id).to_json()
