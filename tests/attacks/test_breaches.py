"""Each part of the bubblewrap wall that is taken down is missed by the canary, and so no call runs behind the rest."""

import json
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.attacks.standings import STANDINGS, Standing

Findings = dict[str, str | None]

FOUND: dict[str, tuple[set[str], set[str]]] = {
    "nothing": (set(), set()),
    "network": ({"network"}, {"network"}),
    "vsock": ({"vsock"}, {"vsock"}),
    "environment": ({"environment"}, {"environment"}),
    "host files": ({"host files"}, {"host files"}),
    "host processes": ({"host processes"}, {"host processes"}),
    "first process": (set(), {"first process"}),
    "user": ({"user", "capabilities", "writable data"}, {"user"}),
    "core_pattern": ({"core_pattern", "user", "capabilities", "writable data"}, {"user"}),
    "capabilities": (set(), {"capabilities"}),
    "seccomp": ({"seccomp", "vsock", "user namespaces"}, {"seccomp", "vsock"}),
    "user namespaces": ({"user namespaces"}, {"user namespaces"}),
    "read-only system": (set(), {"read-only system"}),
    "writable data": ({"writable data"}, {"writable data"}),
}
"""What is found, as root and as a user, by what is down; where nothing is, another part holds on its own."""


@pytest.fixture(scope="module", params=[one for one in STANDINGS if one.wall == "bubblewrap"], ids=lambda one: str(one))
def findings(request: pytest.FixtureRequest) -> tuple[Standing, Findings]:
    """What the probes of one user said."""
    standing: Standing = request.param
    if standing.obstacle:
        pytest.skip(standing.obstacle)
    folder = Path(tempfile.mkdtemp(prefix="breaches-", dir="/tmp"))
    standing.give(folder)
    program = [*standing.launcher(), sys.executable, "-m", "tests.attacks.breaches", str(folder)]
    done = subprocess.run(program, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    shutil.rmtree(folder)
    assert done.returncode == 0, done.stderr
    return standing, json.loads(done.stdout)


def _not_here() -> set[str]:
    """What this machine refuses to everybody, walls or none."""
    missing = set()
    try:
        socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM).close()
    except OSError:
        missing.add("vsock")
    yama = Path("/proc/sys/kernel/yama/ptrace_scope")
    if yama.exists() and yama.read_text().strip() != "0":
        missing.add("first process")
    return missing


@pytest.mark.parametrize("part", FOUND)
def test_what_is_down_is_found(findings: tuple[Standing, Findings], part: str) -> None:
    standing, hints = findings
    expected = FOUND[part][0 if standing.as_root else 1] - _not_here()
    hint = hints[part]
    if not expected:
        assert hint is None
        return
    named = re.search(r"The code interpreter's wall does not hold \((.*)\)", hint or "")
    assert named is not None, hint
    assert set(named[1].split(", ")) == expected
