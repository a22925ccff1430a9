"""Takes the parts of the bubblewrap wall down one by one, and prints, as JSON, what the canary then finds.

A program of its own, so that it can run as the server's user: python -m tests.attacks.breaches FOLDER
"""

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest.mock import patch

import anyio

from understudy_sandbox import Sandbox, bubblewrap
from understudy_sandbox.bubblewrap import Bubblewrap
from understudy_sandbox.inside import seccomp
from understudy_sandbox.jail import Jail
from understudy_sandbox.wall import Command

Arguments = Callable[[Jail], list[str]]
Breach = Callable[[list[str], Jail], list[str]]


def _without(*options: str) -> Breach:
    """Leave out an option and what belongs to it."""

    def breach(arguments: list[str], jail: Jail) -> list[str]:
        for start in range(len(arguments) - len(options) + 1):
            if arguments[start : start + len(options)] == list(options):
                return arguments[:start] + arguments[start + len(options) :]
        return arguments

    return breach


def _with(*options: str) -> Breach:
    return lambda arguments, jail: [*arguments, *options]


def _show(arguments: list[str], jail: Jail) -> list[str]:
    """The folder that holds the host's secret, on the other side too."""
    jail.run.chmod(0o755)
    return [*arguments, *bubblewrap._parents(jail.run), "--ro-bind", str(jail.run), str(jail.run)]


def _as_root(arguments: list[str], jail: Jail) -> list[str]:
    """No step down from root; to an ordinary user's server, root of the user namespace."""
    if jail.uid is None:
        return ["0" if argument == "1000" else argument for argument in arguments]
    settings = arguments.index("UNDERSTUDY_BOOT") + 1
    told = {**json.loads(arguments[settings]), "uid": None}
    return [*arguments[:settings], json.dumps(told), *arguments[settings + 1 :]]


def _both(one: Breach, other: Breach) -> Breach:
    return lambda arguments, jail: other(one(arguments, jail), jail)


BREACHES: dict[str, Breach] = {
    "network": _without("--unshare-net"),
    "host processes": _without("--unshare-pid"),
    "host files": _show,
    "environment": _with("--setenv", "OPENAI_API_KEY", "sk-canary"),
    "first process": _without("--tmpfs", "/proc/1", "--remount-ro", "/proc/1"),
    "user": _as_root,
    "core_pattern": _both(_as_root, _without("--ro-bind", "/proc/sys", "/proc/sys")),
    "capabilities": _with("--cap-add", "ALL"),
    "read-only system": _without("--remount-ro", "/"),
    "writable data": _with("--remount-ro", "/mnt/data"),
}
"""Parts of the wall that are options of bubblewrap's."""


def _allow_all() -> bytes:
    return seccomp._op(seccomp._RET, seccomp._ALLOW)


@contextmanager
def _unfiltered(real: Bubblewrap, jail: Jail) -> Iterator[Command]:
    """The real command, without its filter."""
    with _command(real, jail) as command:
        options = command.pass_fds[-1]
        content = os.pread(options, 1 << 20, 0)
        os.ftruncate(options, content.index(b"--seccomp\0"))
        yield command


_command = Bubblewrap.command
_denied = {name: numbers for name, numbers in seccomp._DENIED.items() if name != "unshare"}
_NO_LIMIT = _without("--disable-userns")


async def found(folder: Path) -> str | None:
    """What a probe says."""
    sandbox = Sandbox(wall="bubblewrap", root=folder)
    try:
        return (await sandbox.probe()).hint
    finally:
        await sandbox.aclose()


def take_down(name: str) -> ExitStack:
    """Take a part of the wall down for as long as the result lives."""
    down, real = ExitStack(), bubblewrap.arguments
    breach = _NO_LIMIT if name == "user namespaces" else BREACHES.get(name)
    if breach is not None:
        down.enter_context(patch.object(bubblewrap, "arguments", lambda jail: breach(real(jail), jail)))
    if name == "user namespaces":
        down.enter_context(patch.object(seccomp, "_DENIED", _denied))
    if name == "vsock":
        down.enter_context(patch.object(seccomp, "_socket_families", _allow_all))
    if name == "seccomp":
        down.enter_context(patch.object(Bubblewrap, "command", _unfiltered))
    return down


def main(folder: Path) -> None:
    """Try all."""
    findings = {}
    for name in ("nothing", *BREACHES, "user namespaces", "vsock", "seccomp"):
        with take_down(name):
            findings[name] = anyio.run(found, folder)
    print(json.dumps(findings))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
