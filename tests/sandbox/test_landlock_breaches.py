"""Each part of the landlock wall that is taken down is missed by the canary, and so no call runs behind the rest."""

import json
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from understudy_sandbox import landlock
from understudy_sandbox.inside import landlock as system
from understudy_sandbox.inside import seccomp
from understudy_sandbox.jail import INSIDE, Jail
from understudy_sandbox.landlock import Landlock
from understudy_sandbox.wall import Command

from .test_landlock_probe import verdict_of

pytestmark = pytest.mark.anyio
WALLS = ("landlock",)
ROOT = os.geteuid() == 0

Breach = Callable[[pytest.MonkeyPatch, Path], None]


def _told(change: Callable[[dict[str, Any]], object]) -> Breach:
    """The jail is told of another wall."""

    def breach(patch: pytest.MonkeyPatch, root: Path) -> None:
        plain = Landlock._settings

        def settings(self: Landlock, jail: Jail) -> str:
            told: dict[str, Any] = json.loads(plain(self, jail))
            change(told["landlock"])
            return json.dumps(told)

        patch.setattr(Landlock, "_settings", settings)

    return breach


def _started(change: Callable[[Command, Jail], Command]) -> Breach:
    """The jail's process is started otherwise."""

    def breach(patch: pytest.MonkeyPatch, root: Path) -> None:
        plain = Landlock.command

        @contextmanager
        def command(self: Landlock, jail: Jail) -> Iterator[Command]:
            with plain(self, jail) as command:
                yield change(command, jail)

        patch.setattr(Landlock, "command", command)

    return breach


def _without(program: str, line: str) -> Breach:
    """A program inside lacks a line."""

    def breach(patch: pytest.MonkeyPatch, root: Path) -> None:
        copy = root / "inside"
        shutil.copytree(INSIDE, copy, dirs_exist_ok=True)
        text = (copy / program).read_text()
        assert text.count(f"    {line}\n") == 1
        (copy / program).write_text(text.replace(f"    {line}\n", ""))
        patch.setattr(landlock, "INSIDE", copy)

    return breach


def _set(owner: object, name: str, value: object) -> Breach:
    return lambda patch, root: patch.setattr(owner, name, value)


def _filter(program: Callable[[], bytes]) -> Breach:
    return _told(lambda wall: wall.update(filter=program().hex()))


def _open(access: int, path: str) -> Breach:
    return _told(lambda wall: wall["rules"].append([path, access]))


def _all(*breaches: Breach) -> Breach:
    def breach(patch: pytest.MonkeyPatch, root: Path) -> None:
        for one in breaches:
            one(patch, root)

    return breach


def _shut(wall: dict[str, Any]) -> None:
    """The session's files may be read."""
    wall["rules"] = [[path, system.READ if path.endswith("/data") else access] for path, access in wall["rules"]]


def _elsewhere(command: Command, jail: Jail) -> Command:
    return replace(command, folder=jail.run / "home")


def _leak(command: Command, jail: Jail) -> Command:
    return replace(command, environment={**command.environment, "OPENAI_API_KEY": "sk"})


_no_user = _told(lambda wall: wall.update(uid=None))
_no_scopes = _told(lambda wall: wall.update(scopes=0))
_others = _set(seccomp, "_ON_PROCESSES", {})
_same_user = {"host files' modes", "user", "capabilities"}
_outside = {"host files' modes", "others' limits"}
"""What a filter finds to hold where the code's user is the server's."""

BREACHES: dict[str, tuple[Breach, set[str], set[str]]] = {
    "nothing": (_all(), set(), set()),
    "host files": (_open(system.READ, "/"), {"host files", "host processes"}, {"host files", "host processes"}),
    "host processes": (_open(system.READ, "/proc"), {"host processes"}, {"host processes"}),
    "read-only system": (
        _open(system.WRITE, "/tmp"),
        {"host files", "read-only system"},
        {"host files", "read-only system"},
    ),
    "core_pattern": (_all(_no_user, _open(system.WRITE, "/proc/sys")), {*_same_user, "core_pattern"}, set()),
    "writable data": (_told(_shut), {"writable data"}, {"writable data"}),
    "own data": (
        _started(lambda command, jail: replace(command, folder=jail.run / "home")),
        {"own data"},
        {"own data"},
    ),
    "environment": (_started(_leak), {"environment"}, {"environment"}),
    "user": (_no_user, _same_user, set()),
    "signals": (_all(_no_user, _no_scopes), {*_same_user, "signals"}, {"signals"}),
    "signals alone": (_no_scopes, set(), {"signals"}),
    "others' limits": (_all(_no_user, _others), {*_same_user, "others' limits"}, {"others' limits"}),
    "others' limits alone": (_others, set(), {"others' limits"}),
    "host files' modes": (_filter(lambda: seccomp.assemble(hosted=True)), set(), {"host files' modes"}),
    "network": (_filter(seccomp.assemble), {"network"}, {"network", *_outside}),
    "vsock": (
        _filter(lambda: seccomp._op(seccomp._RET, seccomp._ALLOW)),
        {"network", "vsock", "user namespaces"},
        {"network", "vsock", "user namespaces", *_outside},
    ),
    "seccomp": (
        _without("reaper.py", 'seccomp.load(bytes.fromhex(wall["filter"]))'),
        {"network", "vsock", "user namespaces", "seccomp"},
        {"network", "vsock", "user namespaces", "seccomp", *_outside},
    ),
    "user namespaces": (
        _set(seccomp, "_DENIED", {name: n for name, n in seccomp._DENIED.items() if name != "unshare"}),
        {"user namespaces"},
        {"user namespaces"},
    ),
    "rules": (
        _without("reaper.py", 'landlock.enter(wall["abi"], ruleset)'),
        {"the system call filter was refused"},
        {"host files", "host processes", "signals", "read-only system"},
    ),
    "new privileges": (
        _all(_no_user, _without("landlock.py", '_check(_libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")')),
        {*_same_user, "new privileges"},
        {"landlock_restrict_self"},
    ),
    "a domain": (
        _all(_set(system, "SCOPED_SINCE", 5), _set(system, "abi", lambda: 5)),
        set(),
        {"landlock_create_ruleset"},
    ),
}
"""What is found by what is down, as root and as a user; where nothing is, another part holds on its own."""


def _not_here() -> set[str]:
    """What this machine refuses to everybody, walls or none."""
    missing = set()
    try:
        socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM).close()
    except OSError:
        missing.add("vsock")
    if subprocess.run(["unshare", "--user", "true"], user=12345 if ROOT else None, check=False).returncode:
        missing.add("user namespaces")
    return missing


def _found(hint: str) -> set[str]:
    named = re.search(r"does not hold \((.*)\)|\[Errno \d+\] ([^:)]*)", hint)
    assert named is not None, hint
    return set((named[1] or named[2]).split(", "))


@pytest.mark.parametrize("part", BREACHES)
async def test_a_wall_that_is_down_is_found(
    root: Path, python: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    breach, as_root, as_a_user = BREACHES[part]
    breach(monkeypatch, root)
    verdict = await verdict_of(root, python)
    expected = (as_root if ROOT else as_a_user) - _not_here()
    assert (verdict.wall is None) == bool(expected), verdict.hint
    assert not expected or _found(verdict.hint or "") == expected


async def test_all_that_the_canary_tries_can_succeed(root: Path, python: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[subprocess.CompletedProcess[str]] = []
    plain = Landlock.run

    def run(self: Landlock, jail: Jail) -> subprocess.CompletedProcess[str]:
        said.append(plain(self, jail))
        return said[-1]

    monkeypatch.setattr(Landlock, "run", run)
    await verdict_of(root, python)
    tried = set(json.loads(said[0].stdout)["held"])
    assert tried <= {name for _, as_root, as_a_user in BREACHES.values() for name in as_root | as_a_user}
