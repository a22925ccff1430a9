"""The wall without a root of its own: what of the host its code sees, and can do nothing to; when it is refused."""

import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from understudy_sandbox import Sandbox, SandboxLimits
from understudy_sandbox.jail import INSIDE

from .conftest import Caller, text, watched
from .test_benign import MAPPED, SQLITE, SUBPROCESS, TEMPORARY, THREADS
from .test_walls import ATTACK

pytestmark = pytest.mark.anyio
WALLS = ("landlock",)
ROOT = os.geteuid() == 0

HOST_FILES = {
    "a file that all may read": "open({secret!r})",
    "a file that all may write": "open({secret!r}, 'w')",
    "cut short": "os.truncate({secret!r}, 0)",
    "a folder": "os.listdir({folder!r})",
    "a new file": "open({folder!r} + '/x', 'w')",
    "a new name": "os.link({secret!r}, 'linked')",
    "moved": "os.rename({secret!r}, 'moved')",
    "moved there": "os.rename('mine', {folder!r} + '/mine')",
    "deleted": "os.unlink({secret!r})",
    "watched": "call('inotify_init1', 0)",
    "through a link": "open('/proc/self/root' + {secret!r})",
    "through a descriptor": "open('/proc/self/fd/%d' % os.open({secret!r}, os.O_PATH))",
    "the root": "os.listdir('/')",
    "temporary files": "os.listdir('/tmp')",
    "a temporary file": "open('/tmp/x', 'w')",
    "shared memory": "open('/dev/shm/x', 'w')",
    "users": "open('/etc/passwd')",
    "the machine": "open('/etc/machine-id')",
    "logs": "os.listdir('/var/log')",
    "sockets": "os.listdir('/run')",
    "memory": "open('/dev/mem', 'rb')",
    "a terminal": "open('/dev/tty')",
    "terminals": "os.openpty()",
    "its own folder": "os.rmdir(os.getcwd())",
    "the folder above": "os.listdir('..')",
    "the sandbox": "open({inside!r} + '/x', 'w')",
    "an attribute": "os.setxattr({secret!r}, 'user.x', b'x')",
    "an owner": "os.chown({secret!r}, 1, 1)",
}

OTHERS = {
    "command line": "open('/proc/{pid}/cmdline')",
    "environment": "open('/proc/{pid}/environ')",
    "memory": "open('/proc/{pid}/mem', 'rb')",
    "memory map": "open('/proc/{pid}/maps')",
    "root": "open('/proc/{pid}/root' + {secret!r})",
    "root's name": "os.readlink('/proc/{pid}/root')",
    "descriptors": "os.listdir('/proc/{pid}/fd')",
    "list": "os.listdir('/proc')",
    "kill": "os.kill({pid}, 0)",
    "kill a thread": "call('tgkill', {pid}, {pid}, 0)",
    "queue a signal": "call('sigqueue', {pid}, 0, 0)",
    "signal by descriptor": "signal.pidfd_send_signal(os.pidfd_open({pid}), 0)",
    "signal by a file": "fcntl.fcntl(owned, fcntl.F_SETOWN, {pid}) or owned_says()",
    "priority": "os.setpriority(os.PRIO_PROCESS, {pid}, 19)",
    "everybody's priority": "os.setpriority(os.PRIO_USER, 0, 19)",
    "limits": "resource.prlimit({pid}, resource.RLIMIT_NOFILE, (9, 9))",
    "read limits": "resource.prlimit({pid}, resource.RLIMIT_NOFILE)",
    "input and output": "syscall(251 if x86 else 30, 1, {pid}, 3 << 13)",
    "trace": "call('ptrace', 16, {pid}, 0, 0)",
    "read": "call('process_vm_readv', {pid}, 0, 0, 0, 0, 0)",
    "semaphores": "call('semget', 0, 1, 0o1600)",
    "queues": "syscall(240 if x86 else 180, b'x', 0o102, 0o600, 0)",
}

SOCKETS = {
    "a file's": "socket.socket(socket.AF_UNIX).connect({path!r})",
    "an abstract one": "socket.socket(socket.AF_UNIX).connect({abstract!r})",
    "datagrams": "socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)",
    "a pair for datagrams": "socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)",
    "a pair for packets": "socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)",
    "a server": "socket.create_server(('127.0.0.1', 0))",
    "the newer internet": "socket.socket(socket.AF_INET6)",
    "in another's folder": "socket.socket(socket.AF_UNIX).bind({folder!r} + '/s')",
}

PREPARE = (
    ATTACK
    + """
import signal, struct
open('mine', 'w').close()
owned, other = socket.socketpair()
def owned_says():
    # Input on the socket then signals its owner; a signal of number 0 is SIGIO, which the server would die of.
    fcntl.fcntl(owned, fcntl.F_SETFL, os.O_ASYNC)
    other.send(b'x')
    if fcntl.fcntl(owned, fcntl.F_GETOWN) != 0:
        raise OSError('the owner is noted, and the signal does not arrive')
"""
)


class Host:
    """Files, sockets and processes that are none of the code's business."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.secret = folder / "secret"
        self.secret.write_text("secret")
        for path, mode in ((folder, 0o777), (self.secret, 0o666)):
            path.chmod(mode)
        self.abstract = f"\0understudy-{os.getpid()}"
        self.sockets = [socket.socket(socket.AF_UNIX) for _ in range(2)]
        for listener, address in zip(self.sockets, (str(folder / "socket"), self.abstract), strict=True):
            listener.bind(address)
            listener.listen()
        (folder / "socket").chmod(0o777)
        self.process = subprocess.Popen(["sleep", "1000"])

    def named(self, attempts: dict[str, str]) -> dict[str, str]:
        """Attempts on it."""
        known = {
            "secret": str(self.secret),
            "folder": str(self.folder),
            "path": str(self.folder / "socket"),
            "abstract": self.abstract,
            "inside": str(INSIDE),
            "pid": self.process.pid,
        }
        return {name: code.format(**known) for name, code in attempts.items()}

    def untouched(self) -> bool:
        """Whether it is as it was."""
        info = self.secret.stat()
        priority = os.getpriority(os.PRIO_PROCESS, self.process.pid)
        as_it_was = (info.st_mode & 0o777, info.st_nlink, self.secret.read_text(), priority)
        idle = os.sched_getscheduler(self.process.pid) != os.SCHED_OTHER
        return as_it_was == (0o666, 1, "secret", 0) and not idle and self.process.poll() is None

    def close(self) -> None:
        for listener in self.sockets:
            listener.close()
        self.process.kill()
        self.process.wait()


@pytest.fixture
def host() -> Iterator[Host]:
    with TemporaryDirectory() as folder:
        host = Host(Path(folder))
        yield host
        host.close()


def literally(code: str) -> str:
    """The code with the host's /tmp in it, not what stands for that in the jail."""
    return code.replace("/tmp", r"/t\x6dp")


async def outcomes(caller: Caller, attempts: dict[str, str]) -> dict[str, str | None]:
    """What became of attempts, None for those that were refused."""
    await caller.logs(PREPARE)
    said = await caller.logs(literally(f"print({{name: attempt(code) for name, code in {attempts!r}.items()}})"))
    return dict(eval(said))


@pytest.mark.parametrize("attempts", [HOST_FILES, OTHERS, SOCKETS], ids=["files", "processes", "sockets"])
async def test_the_host_is_out_of_reach(caller: Caller, host: Host, attempts: dict[str, str]) -> None:
    assert await outcomes(caller, host.named(attempts)) == dict.fromkeys(attempts)
    assert host.untouched()


async def test_the_same_attempts_succeed_without_a_wall(root: Path, host: Host) -> None:
    """The test above can fail."""
    harmless = {
        **{name: HOST_FILES[name] for name in ("a file that all may read", "a new file", "watched", "users")},
        **{name: OTHERS[name] for name in ("kill", "limits", "read limits")},
        **{name: SOCKETS[name] for name in ("a file's", "an abstract one", "a pair for datagrams")},
    }
    sandbox = Sandbox(wall="unsafe-local", root=root / "unwalled")
    try:
        found = await outcomes(Caller(sandbox, "a"), host.named(harmless))
    finally:
        await sandbox.aclose()
    assert found == dict.fromkeys(harmless, "succeeded")


async def test_modes_and_times_of_the_hosts_files_stay(caller: Caller, host: Host) -> None:
    """Refused where the code's user is its own; else the calls do nothing, and say that they did."""
    before = host.secret.stat()
    path, pid = str(host.secret), host.process.pid
    code = (
        "import os\n"
        f"for change in (lambda: os.chmod({path!r}, 0), lambda: os.utime({path!r}, (0, 0)),\n"
        f"               lambda: os.sched_setscheduler({pid}, os.SCHED_IDLE, os.sched_param(0)),\n"
        f"               lambda: os.sched_setaffinity({pid}, [0])):\n"
        " try: change()\n except PermissionError: pass\n"
    )
    await caller.logs(literally(code))
    assert host.untouched()
    assert host.secret.stat().st_mtime == before.st_mtime
    assert os.sched_getaffinity(pid) == os.sched_getaffinity(0)


async def test_a_neighbours_files_are_out_of_reach(caller: Caller) -> None:
    neighbour = Caller(caller.sandbox, "neighbour")
    await neighbour.logs("open('theirs', 'w').write('x')")
    theirs = (await neighbour.session()).files.data
    attempts = {"read": "open('{}/theirs')", "list": "os.listdir('{}')", "new": "open('{}/x', 'w')"}
    attempts = {name: code.format(theirs) for name, code in attempts.items()}
    assert await outcomes(caller, attempts) == dict.fromkeys(attempts)
    assert await neighbour.logs("import os; print(os.listdir())") == "['theirs']\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGSTOP])
async def test_signals_to_everybody_reach_the_jail_only(hurried: Caller, host: Host, number: int) -> None:
    neighbour = Caller(hurried.sandbox, "neighbour")
    await neighbour.logs("x = 1")
    code = f"""
import os, subprocess
own = subprocess.Popen(['sleep', '1000'])
for target in (-1, 0, os.getppid(), 1, {os.getpid()}):
    try: os.kill(target, {number}) if target else os.killpg(os.getsid(os.getpid()), {number})
    except OSError: pass
print('alone')
"""
    await hurried(code)
    assert host.untouched()
    assert await neighbour.logs("x") == "1\n"
    assert (await hurried("1 + 1")).status in ("ok", "timeout", "died")
    assert await hurried.logs("2 + 2")


LEAVE = """
import os, signal
for _ in range(3):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            for number in range(1, 65):
                try: signal.signal(number, signal.SIG_IGN)
                except (OSError, ValueError): pass
            while True: signal.pause()
        os._exit(0)
"""
FLEE = """
import os
if os.fork() == 0:
    while True:
        if os.fork(): os._exit(0)
        os.setsid()
"""


@pytest.mark.parametrize("code", [LEAVE, FLEE], ids=["daemons", "one that is always another"])
@pytest.mark.parametrize("ending", ["closed", "died"])
async def test_nobody_outlives_the_jail(
    caller: Caller, descendants: Callable[[int], set[int]], code: str, ending: str
) -> None:
    before = descendants(os.getpid())
    await caller.logs(code)
    assert len(descendants(os.getpid()) - before) >= 2
    if ending == "died":
        assert (await caller("import os; os._exit(3)")).status == "died"
    else:
        await (await caller.session()).close()
    assert descendants(os.getpid()) <= before


BOMBS = {
    "one that grows": "while True:\n try: os.fork()\n except OSError: pass\n",
    "one that waits": (
        "count = 0\ntry:\n while True:\n  if os.fork() == 0: time.sleep(60)\n  count += 1\n"
        "except BlockingIOError: print('refused after', count)"
    ),
    "threads": (
        "import threading\ntry:\n while True: threading.Thread(target=time.sleep, args=(60,)).start()\n"
        "except RuntimeError: time.sleep(60)"
    ),
}


@pytest.mark.parametrize("name", BOMBS)
async def test_a_bomb_stays_small(root: Path, caller: Caller, python: Path, name: str) -> None:
    """The system refuses more processes where the code's user is its own; else the watchdog ends them."""
    limits = SandboxLimits(timeout=3.0, grace=0.5)
    async with watched(Sandbox(wall="landlock", root=root / "bombed", python=python, limits=limits)) as sandbox:
        bomber = Caller(sandbox, name)
        result = await bomber(f"import os, time\n{BOMBS[name]}")
        if not ROOT:
            assert result.status == "killed:processes"
            assert "more than 64 processes and threads" in (result.note or "")
        elif name == "one that waits":
            assert int(text(result).split()[2]) < 64
        else:
            assert result.status in ("timeout", "died")
        assert await caller.logs("1 + 1") == "2\n"
        assert (await bomber.logs("2 + 2")).startswith("4\n")


@pytest.mark.parametrize("folder", ["tempfile.gettempdir()", "os.path.expanduser('~')"])
@pytest.mark.parametrize("kept", ["", "; os.unlink(file.name)"], ids=["named", "deleted but open"])
async def test_temporary_files_count_as_disk(cramped: Caller, folder: str, kept: str) -> None:
    code = (
        "import os, tempfile, time\nheld = []\nfor i in range(5):\n"
        f" file = open({folder} + f'/{{i}}', 'wb', 0); held.append(file); file.write(b'x' * (20 << 20)){kept}\n"
        "time.sleep(60)"
    )
    result = await cramped(code)
    assert result.status == "killed:disk"
    assert "more than 48 MiB" in (result.note or "")
    assert await cramped.logs("import os; print(os.listdir('/tmp'))")


async def test_mnt_data_is_the_working_folder(caller: Caller) -> None:
    code = """
import os, subprocess
open('/mnt/data/a', 'w').write('x')
os.mkdir('below'); os.chdir('below')
open('/mnt/data/b', 'w').close()
print(sorted(os.listdir('/mnt/data')), os.getcwd(), os.path.realpath('..'))
print(subprocess.run('ls', shell=True, cwd='/mnt/data', capture_output=True).stdout)
os.chdir('/mnt/data')
print(subprocess.run(['ls', '/mnt' + '/data'], capture_output=True).stdout)
"""
    listed = r"b'a\nb\nbelow\n'"
    assert await caller.logs(code) == f"['a', 'b', 'below'] /mnt/data/below /mnt/data\n{listed}\n{listed}\n"


@pytest.mark.parametrize("code", [MAPPED, SQLITE, SUBPROCESS, TEMPORARY, THREADS])
async def test_what_works_behind_it(caller: Caller, code: str) -> None:
    await caller.logs(code)


async def test_programs_may_be_made_and_run(caller: Caller) -> None:
    code = """
import os, shutil, subprocess
with open('run.sh', 'w', opener=lambda path, flags: os.open(path, flags, 0o755)) as script:
    script.write('#!/bin/sh\\necho ran > /dev/null; echo ran')
shutil.copy2('run.sh', 'copy.sh')
print(subprocess.run('./run.sh; sh copy.sh', shell=True, capture_output=True, text=True).stdout.split())
"""
    assert await caller.logs(code) == "['ran', 'ran']\n"
