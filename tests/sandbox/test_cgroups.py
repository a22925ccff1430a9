"""Control groups: found where the system gives some, and then each jail is in one."""

from pathlib import Path

import pytest

from understudy_sandbox import Sandbox, SandboxLimits, cgroups
from understudy_sandbox.kernel import JailedKernel
from understudy_sandbox.limits import MIB

from .conftest import Caller, text
from .test_leftovers import _runs

pytestmark = pytest.mark.anyio

MOUNTS = """
22 28 0:20 / /proc rw,nosuid - proc proc rw
30 23 0:26 {root} {folder} rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate
31 23 0:27 / /sys/fs/cgroup/memory rw shared:5 - cgroup cgroup rw,memory
""".strip()


@pytest.mark.parametrize(
    ("membership", "root", "folder", "found"),
    [
        (
            "0::/system.slice/understudy.service\n",
            "/",
            "/sys/fs/cgroup",
            "/sys/fs/cgroup/system.slice/understudy.service",
        ),
        ("0::/\n", "/", "/sys/fs/cgroup", "/sys/fs/cgroup"),
        ("4:memory:/a\n0::/b\n", "/", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/unified/b"),
        ("0::/docker/1/app\n", "/docker/1", "/sys/fs/cgroup", "/sys/fs/cgroup/app"),
        ("0::/../other\n", "/mine", "/sys/fs/cgroup", None),
        ("4:memory:/a\n", "/", "/sys/fs/cgroup", None),
    ],
)
def test_where_the_own_group_is(membership: str, root: str, folder: str, found: str | None) -> None:
    own = cgroups._own(membership, MOUNTS.format(root=root, folder=folder))
    assert own == (Path(found) if found else None)


GROUPS = cgroups.enter()


async def test_every_jail_is_in_a_group_where_there_are_groups(tmp_path: Path) -> None:
    sandbox = Sandbox(root=tmp_path, limits=SandboxLimits(memory=192 * MIB, sessions=2))
    try:
        caller = Caller(sandbox, "a")
        await caller.logs("1")
        kernel = (await caller.session()).kernel
        assert isinstance(kernel, JailedKernel)
        group = kernel._jail.group
        assert (group is None) == (GROUPS is None)
    finally:
        await sandbox.aclose()
    assert group is None or not group.path.exists()


if GROUPS is not None:
    # The one thing that tests cannot bring along: a system that lets them make groups.
    FORKS = """
import os, time
for _ in range(4):
    if not os.fork():
        x = bytearray(b'x') * (60 << 20)
        time.sleep(60)
time.sleep(60)
"""
    SCRATCH = """
files = [open('/dev/shm/a', 'wb', 0), open('/tmp/b', 'wb', 0)]
while True:
    for file in files:
        try: file.write(b'x' * 2**20)
        except OSError: pass
"""
    HEAP = "x = [bytearray(b'x') * 2**24 for _ in range(40)]"

    @pytest.mark.parametrize("code", [HEAP, FORKS, SCRATCH])
    async def test_a_group_holds_the_memory_of_a_jail_without_a_watchdog(code: str, tmp_path: Path) -> None:
        sandbox = Sandbox(root=tmp_path, limits=SandboxLimits(memory=192 * MIB))
        try:
            caller = Caller(sandbox, "a")
            await caller.logs("1")
            result = await caller(code)
            assert result.status == "killed:memory", text(result)
            assert "192 MiB of memory" in text(result)
            assert "2\n" in await caller.logs("1 + 1")
        finally:
            await sandbox.aclose()

    async def test_what_left_the_wall_ends_with_its_group(tmp_path: Path) -> None:
        sandbox = Sandbox(root=tmp_path, wall="unsafe-local")
        pid = int(await Caller(sandbox, "a").logs("import subprocess; subprocess.Popen(['setsid', 'sleep', '99']).pid"))
        assert _runs(pid)
        await sandbox.aclose()
        assert not _runs(pid)

    def test_groups_of_a_server_that_is_gone_are_swept() -> None:
        assert GROUPS is not None
        gone = GROUPS._base / "understudy-4194399-0"  # above the highest process number
        gone.mkdir()
        mine = GROUPS.make(SandboxLimits())
        cgroups._sweep(GROUPS._base)
        assert not gone.exists()
        assert mine.path.exists()
        mine.remove()
        assert not mine.path.exists()
