"""Kernels of a real Jupyter Kernel Gateway, which lives in an environment of its own."""

import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from tests.sandbox.conftest import Caller, text
from understudy_sandbox import Sandbox, SandboxLimits, SandboxUnavailable, WallOptions
from understudy_sandbox.limits import MIB

pytestmark = pytest.mark.anyio

PROGRAM = Path(__file__).parents[2] / ".clients/kernel-gateway/bin/jupyter-kernelgateway"
TOKEN = "the-gateways-token"
LOST = "variables and imports are gone"


class RunningGateway:
    """The gateway's process; it can be stopped, and started again at the same port."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}"
        self.start()

    def start(self) -> None:
        settings = {"ip": "127.0.0.1", "port": self._port, "auth_token": TOKEN, "port_retries": 0}
        flags = [f"--KernelGatewayApp.{name}={value}" for name, value in settings.items()]
        flags += [
            "--JupyterWebsocketPersonality.list_kernels=True",
            "--ZMQChannelsWebsocketConnection.limit_rate=False",
        ]
        environment = {"PATH": f"{PROGRAM.parent}:{os.environ['PATH']}", "TMPDIR": str(self._folder)}
        environment |= {"HOME": str(self._folder), "IPYTHONDIR": str(self._folder / "ipython")}
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen([PROGRAM, *flags], env=environment, stdout=log, stderr=log)
        deadline = time.monotonic() + 60
        while not self._answers():
            assert self._process.poll() is None, (self._folder / "log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.1)

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/api").status_code == 401
        except httpx.HTTPError:
            return False

    @property
    def kernels(self) -> list[str]:
        answer = httpx.get(f"{self.url}/api/kernels", headers={"Authorization": f"token {TOKEN}"})
        return [kernel["id"] for kernel in answer.json()]

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(30)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    running = RunningGateway(tmp_path_factory.mktemp("gateway"))
    yield running
    running.stop()


def sandbox_of(gateway: RunningGateway, root: Path, token: str = TOKEN) -> Sandbox:
    limits = SandboxLimits(timeout=2.0, grace=1.0, files=50, disk=8 * MIB, received=MIB // 8)
    return Sandbox(wall="gateway", root=root, limits=limits, options=WallOptions(url=gateway.url, token=token))


@pytest.fixture
async def remote(gateway: RunningGateway, tmp_path: Path) -> AsyncIterator[Caller]:
    sandbox = sandbox_of(gateway, tmp_path / "root")
    yield Caller(sandbox, "a")
    await sandbox.aclose()
    assert not gateway.kernels


async def test_it_says_whose_the_walls_are(remote: Caller, gateway: RunningGateway) -> None:
    verdict = await remote.sandbox.probe()
    assert verdict.wall == "gateway"
    assert re.search(f"{gateway.url}: .* that gateway's own walls to hold.$", verdict.hint or "")
    assert TOKEN not in (verdict.hint or "")


async def test_outputs_and_state_are_the_same(remote: Caller) -> None:
    assert await remote.logs("x = 1; print('a')\nx") == "a\n1\n"
    failed = await remote("x / 0")
    assert failed.status == "error"
    assert "ZeroDivisionError: division by zero" in text(failed)
    assert await remote.logs("x") == "1\n"
    assert "StdinNotImplementedError" in text(await remote("input()"))


async def test_files_travel_both_ways(remote: Caller, tmp_path: Path) -> None:
    content = bytes(range(256)) * 10_000
    (tmp_path / "given").write_bytes(content)
    session = await remote.session()
    await session.add_file("ä given.bin", tmp_path / "given")
    await session.add_file("empty", Path(os.devnull))
    code = """
import os
given = open('/mnt/data/ä given.bin', 'rb').read()
os.makedirs('/mnt/data/d/e')
open('d/e/reversed', 'wb').write(given[::-1])
os.symlink('/etc/passwd', 'link')
os.mkfifo('pipe')
print(sorted(os.listdir('/mnt/data')), os.getcwd())
"""
    result = await remote(code)
    assert text(result) == "['d', 'empty', 'link', 'pipe', 'ä given.bin'] /mnt/data\n"
    assert result.changed_files == ("d/e/reversed",)
    with session.open_file("d/e/reversed") as file:
        assert file.read() == content[::-1]
    assert (await remote("1")).changed_files == ()
    assert (await remote("open('d/e/reversed', 'ab').write(b'!')")).changed_files == ("d/e/reversed",)
    await remote.logs("import shutil; shutil.rmtree('d'); open('d', 'w').close(); os.unlink('empty')")
    assert sorted(path.name for path in session.files.data.iterdir()) == ["d", "ä given.bin"]


async def test_a_fresh_kernel_has_the_files(remote: Caller) -> None:
    await remote.logs("import os; os.mkdir('d'); open('d/kept', 'w').write('kept')")
    ended = await remote("x = 1; os._exit(1)")
    assert ended.status == "died"
    assert LOST in (ended.note or "")
    after = await remote("print(open('/mnt/data/d/kept').read(), 'x' in globals())")
    assert text(after).startswith("kept False\n")
    assert LOST in (after.note or "")


async def test_time(remote: Caller) -> None:
    late = await remote("x = 1\nimport time; time.sleep(30)")
    assert (late.status, late.note) == (
        "timeout",
        "The call took longer than 2 seconds. It was interrupted; variables were kept.",
    )
    assert await remote.logs("x") == "1\n"
    stubborn = await remote("while True:\n try:\n  time.sleep(30)\n except KeyboardInterrupt: pass")
    assert stubborn.status == "timeout"
    assert LOST in (stubborn.note or "")
    assert (await remote.logs("2")).startswith("2\n")


async def test_output(remote: Caller) -> None:
    assert (await remote("while True: print('x' * 1000)")).status == "output_limit"
    assert "3\n" in await remote.logs("3")


EXCESS = {
    "killed:files": "for i in range(60): open(f'f{i}', 'w').close()",
    "killed:disk": "for i in range(5): open(f'f{i}', 'wb').write(b'x' * (2 << 20))",
}


@pytest.mark.parametrize("status", EXCESS)
async def test_files_beyond_the_limits_stay_there(remote: Caller, status: str) -> None:
    await remote.logs("x = 1; open('kept', 'w').write('kept')")
    result = await remote(EXCESS[status])
    assert result.status == status, text(result)
    assert LOST in (result.note or "")
    after = await remote("import os; print(os.listdir('/mnt/data'), 'x' in globals())")
    assert text(after).startswith("['kept'] False\n")


def everything_below(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


LIES = {
    "paths outside": '{"../../evil": [4, 1], "/tmp/understudy-evil": [4, 1], "a/../../evil": [4, 1], "": [1, 1]}',
    "no paths": '{"\\\\u0000": [4, 1], "\\\\ud800": [4, 1], "' + "x" * 300 + '": [4, 1], "' + "d/" * 99 + 'x": [4, 1]}',
    "no states": '{"x": [4]}',
    "no numbers": '{"x": ["4", {}]}',
    "less than nothing": '{"x": [-4, 1]}',
    "no files": '["x"]',
    "no end": "[" * 100_000,
    "no text": "\\\\xff",
}


@pytest.mark.parametrize("name", LIES)
async def test_a_kernel_that_lies_of_its_files(remote: Caller, tmp_path: Path, name: str) -> None:
    """The code can change what our questions are answered with: it gets nowhere but into its own folder."""
    # The kernel's own messages are written with options, our answers without.
    lies = f"real = json.dumps; json.dumps = lambda *a, **k: real(*a, **k) if k else '{LIES[name]}'"
    result = await remote(f"import json; {lies}")
    assert result.status in ("ok", "protocol_error"), text(result)
    files = (await remote.session()).files
    # All that is there besides the folder of the code's files, which is empty.
    assert everything_below(tmp_path) <= {files.path, files.path.parent, files.data, files.path / "ran"}
    assert "understudy-evil" not in os.listdir("/tmp")
    await remote("import os; os._exit(0)")
    assert (await remote.logs("1")).startswith("1\n")


async def test_contents_longer_than_told(remote: Caller) -> None:
    await remote.logs("import base64, builtins; open('x', 'w').write('abcd')")
    result = await remote("base64.b64encode = lambda content: b'YWJj' * 1000\nopen('x', 'w').write('efgh')")
    assert result.status == "protocol_error"
    assert LOST in (result.note or "")


async def test_a_gateway_that_comes_back(gateway: RunningGateway, remote: Caller) -> None:
    await remote.logs("x = 1; open('kept', 'w').close()")
    gateway.stop()
    with pytest.raises(SandboxUnavailable, match="does not answer"):
        await remote("x")
    gateway.start()
    result = await remote("import os; print(os.listdir('/mnt/data'), 'x' in globals())")
    assert text(result).startswith("['kept'] False\n")
    assert LOST in (result.note or "")


async def test_a_wrong_token(gateway: RunningGateway, tmp_path: Path) -> None:
    sandbox = sandbox_of(gateway, tmp_path, "another")
    try:
        assert "--sandbox-token" in ((await sandbox.probe()).hint or "")
        with pytest.raises(SandboxUnavailable, match="--sandbox-token"):
            await Caller(sandbox, "a")("1")
    finally:
        await sandbox.aclose()


async def test_nobody_there_at_the_start(tmp_path: Path) -> None:
    """One that answers later is used then."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://user:secret@127.0.0.1:{free.getsockname()[1]}"
    sandbox = Sandbox(wall="gateway", root=tmp_path, options=WallOptions(url=url))
    verdict = await sandbox.probe()
    await sandbox.aclose()
    assert verdict.wall == "gateway"
    assert "does not answer now" in (verdict.hint or "")
    assert "secret" not in (verdict.hint or "")
