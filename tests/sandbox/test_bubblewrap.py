"""What only a jail with namespaces and a root of its own has: an empty world, file systems in memory, a loopback."""

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import Caller, text
from .test_watchdog import struck

pytestmark = pytest.mark.anyio

SCRATCH = {
    "/tmp": "for i in range(10): open(f'/tmp/{i}', 'wb').write(b'x' * (20 << 20))",
    "/dev/shm": (
        "for i in range(3): open(f'/dev/shm/{i}', 'wb').write(b'x' * (20 << 20))\nheld = bytearray(b'x') * (110 << 20)"
    ),
    "deleted in /tmp": (
        "import os; held = []\nfor _ in range(10):\n"
        " held.append(open('/tmp/x', 'wb', 0)); held[-1].write(b'x' * (20 << 20)); os.unlink('/tmp/x')"
    ),
}


@pytest.fixture
def listener() -> Iterator[int]:
    """A server on the host's loopback that nobody may reach."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=lambda: server.listen(), daemon=True).start()
        yield server.getsockname()[1]


async def test_the_hosts_loopback_is_not_the_jails(caller: Caller, listener: int) -> None:
    result = await caller(f"import socket; socket.create_connection(('127.0.0.1', {listener}), timeout=3)")
    assert "ConnectionRefusedError" in text(result)


async def test_the_jails_own_loopback_works(caller: Caller) -> None:
    code = (
        "import socket; s = socket.create_server(('127.0.0.1', 0)); socket.create_connection(s.getsockname()).close()"
    )
    await caller.logs(code)


async def test_host_files_cannot_be_seen(caller: Caller, root: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    neighbour = Caller(caller.sandbox, "neighbour")
    await neighbour.logs("open('theirs', 'w').write('x')")
    paths = [str(secret), str(root), __file__, "/var", "/run/docker.sock"]
    assert await caller.logs(f"import os; print([p for p in {paths!r} if os.path.exists(p)])") == "[]\n"
    found = await caller.logs("print([f for _, _, fs in os.walk('/mnt') for f in fs], os.listdir('/mnt/data/..'))")
    assert found == "[] ['data']\n"
    assert await caller.logs("print(open('/etc/passwd').read().count('\\n'))") == "2\n"


async def test_environment_and_processes_are_the_jails_own(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    code = """
import glob, os
def read(path):
    try:
        return open(path, 'rb').read()
    except OSError:
        return b''
everything = b''.join(map(read, glob.glob('/proc/[0-9]*/environ') + glob.glob('/proc/[0-9]*/cmdline')))
print(b'sk-secret' in everything, b'pytest' in everything)
print(sorted(int(name) for name in os.listdir('/proc') if name.isdigit()))
print('OPENAI_API_KEY' in os.environ, 'UNDERSTUDY_BOOT' in os.environ)
"""
    assert await caller.logs(code) == "False False\n[1, 2]\nFalse False\n"


async def test_the_user_has_no_power(caller: Caller) -> None:
    code = """
import os
fields = dict(line.split(':', 1) for line in open('/proc/self/status').read().splitlines())
print(os.getuid() != 0, [fields[name].strip() for name in ('CapEff', 'CapPrm', 'CapAmb', 'NoNewPrivs', 'Seccomp')])
"""
    zero = "0" * 16
    assert await caller.logs(code) == f"True ['{zero}', '{zero}', '{zero}', '1', '2']\n"


async def test_a_fork_bomb_stays_small_and_neighbours_do_not_notice(hurried: Caller, caller: Caller) -> None:
    await caller.logs("1")
    bomb = "import os, time\ncount = 0\ntry:\n while True:\n  if os.fork() == 0: time.sleep(60)\n  count += 1\n"
    result = await hurried(bomb + "except BlockingIOError: print('refused after', count)")
    assert "refused after" in text(result)
    assert int(text(result).split()[2]) < 64
    started = time.monotonic()
    assert await caller.logs("1 + 1") == "2\n"
    assert time.monotonic() - started < 1


async def test_scratch_is_bounded(caller: Caller) -> None:
    assert "No space left" in text(await caller("open('/tmp/big', 'wb').write(bytes(2**29))"))


@pytest.mark.parametrize("name", SCRATCH)
async def test_scratch_is_memory(cramped: Caller, name: str) -> None:
    assert "more than 192 MiB of memory" in await struck(cramped, SCRATCH[name], "killed:memory")
