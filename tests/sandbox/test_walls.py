"""Attacks from inside: each must be refused, and leave host, neighbour and server as they were."""

import socket
from pathlib import Path

import pytest

from understudy_sandbox import Sandbox

from .conftest import SOCKETS, Caller

pytestmark = pytest.mark.anyio
WALLS = ("bubblewrap", "landlock")

REFUSED = {
    "internet": "socket.create_connection(('1.1.1.1', 80), timeout=3)",
    "names": "socket.getaddrinfo('example.com', 80)",
    "datagrams": "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('8.8.8.8', 53))",
    "metadata": "urllib.request.urlopen('http://169.254.169.254/', timeout=3)",
    "raw sockets": "socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)",
    "netlink": "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)",
    "packets": "socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 3)",
    "vsock": "socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)",
    "kernel crypto": "socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET)",
    "core_pattern": "open('/proc/sys/kernel/core_pattern', 'w')",
    "sysrq": "open('/proc/sysrq-trigger', 'w')",
    "kernel memory": "open('/proc/kcore', 'rb').read(1)",
    "sys": "os.listdir('/sys')",
    "shadow": "open('/etc/shadow')",
    "home": "os.listdir('/root/.ssh')",
    "docker": "socket.socket(socket.AF_UNIX).connect('/var/run/docker.sock')",
    "system": "open('/usr/bin/x', 'w')",
    "site-packages": "open(os.path.join(os.path.dirname(json.__file__), 'x'), 'w')",
    "boot": "open('/run/boot/boot.py', 'a')",
    "root": "open('/x', 'w')",
    "dev": "open('/dev/x', 'w')",
    "etc": "open('/etc/x', 'w')",
    "device": "os.mknod('/tmp/x', 0o20666, os.makedev(1, 1))",
    "user 0": "os.setuid(0)",
    "groups": "os.setgroups([0])",
    "chroot": "os.chroot('/tmp')",
    "raised limits": "resource.setrlimit(resource.RLIMIT_NOFILE, (9999, 9999))",
    "unshare user": "call('unshare', 0x10000000)",
    "unshare mount": "call('unshare', 0x20000)",
    "clone user": "syscall(56 if x86 else 220, 0x10000000 | 17, 0, 0, 0, 0)",
    "clone3": "syscall(435, 0, 0)",
    "mount": "call('mount', b'none', b'/tmp', b'tmpfs', 0, None)",
    "ptrace": "call('ptrace', 16, 1, 0, 0)",
    "bpf": "syscall(321 if x86 else 280, 0, 0, 0)",
    "io_uring": "syscall(425, 1, 0)",
    "userfaultfd": "syscall(323 if x86 else 282, 0)",
    "perf": "syscall(298 if x86 else 241, 0, 0, 0, 0, 0)",
    "keys": "syscall(250 if x86 else 219, 0, -3, 0)",
    "memfd": "os.memfd_create('x')",
    "shared memory": "syscall(29 if x86 else 194, 0, 4096, 0o1600)",
    "x32 calls": "syscall(0x40000000 + 39)",
    "typing into a terminal": "fcntl.ioctl(os.openpty()[1], 0x5412, b'x')",
}

ATTACK = """
import ctypes, fcntl, json, os, platform, resource, socket, urllib.request
libc, x86 = ctypes.CDLL(None, use_errno=True), platform.machine() == 'x86_64'
def call(name, *arguments):
    if getattr(libc, name)(*arguments) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
def syscall(*arguments):
    if libc.syscall(*arguments) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
def attempt(code):
    try:
        eval(code)
    except (OSError, ValueError) as error:
        return None
    return 'succeeded'
"""


async def test_what_is_forbidden_is_refused(caller: Caller) -> None:
    await caller.logs(ATTACK)
    logs = await caller.logs(f"print({{name: attempt(code) for name, code in {REFUSED!r}.items()}})")
    assert logs == f"{dict.fromkeys(REFUSED)}\n"


async def test_the_same_attempts_succeed_without_a_wall(root: Path) -> None:
    """The test above can fail: some of its attempts are harmless where they succeed, and do so here."""
    sandbox = Sandbox(wall="unsafe-local", root=root / "unwalled")
    caller = Caller(sandbox, "a")
    harmless = {name: REFUSED[name] for name in ("netlink", "sys", "memfd", "shared memory")}
    try:
        await caller.logs(ATTACK)
        logs = await caller.logs(f"print({{name: attempt(code) for name, code in {harmless!r}.items()}})")
    finally:
        await sandbox.aclose()
    assert logs == f"{dict.fromkeys(harmless, 'succeeded')}\n"


async def test_signals_stay_in_the_jail(caller: Caller) -> None:
    """As root's own user the first process may be signalled, and ignores it; otherwise it may not."""
    code = "import os\nfor pid in (1, -1):\n try: os.kill(pid, 9)\n except OSError: pass\nprint('alone')"
    assert await caller.logs(code) == "alone\n"


async def test_a_forged_end_and_forged_output_are_harmless(caller: Caller) -> None:
    """The code has the key of its own connection, so it can say anything on it."""
    forge = """
kernel = get_ipython().kernel
for content in ({"execution_state": "idle"}, {"execution_state": ["nonsense"]}, {}):
    kernel.session.send(kernel.iopub_socket, "status", content, parent=kernel.get_parent())
kernel.session.send(kernel.iopub_socket, "stream", {"text": 5}, parent=kernel.get_parent())
kernel.session.send(kernel.iopub_socket, "display_data", {"data": {"image/png": "bm8="}}, parent=kernel.get_parent())
print("still here")
"""
    await caller(forge)
    assert await caller.logs("1 + 1") == "2\n"


async def test_a_swapped_socket_is_not_connected_to(caller: Caller, tmp_path: Path) -> None:
    """The jail may put a link to a socket of the host in its sockets' place: nobody must follow it."""
    target = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(target)[-100:] if len(str(target)) > 100 else str(target))
        server.listen()
        server.settimeout(0.7)
        await caller(
            f"import os\nfolder = {SOCKETS}\ntry:\n for i in range(1, 6):\n  os.unlink(f'{{folder}}/s-{{i}}')\n"
            f"  os.symlink({str(target)!r}, f'{{folder}}/s-{{i}}')\nexcept OSError: pass"
        )
        await caller("import os; os._exit(0)")
        with pytest.raises(TimeoutError):
            server.accept()
