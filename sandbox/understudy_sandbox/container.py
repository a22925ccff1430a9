"""The container wall: a container of Docker or Podman for each jail, by their command lines.

The container's root is the image's, read-only; no network, no capabilities, the engine's own system call filter and
then ours. Its memory, processes and processors are bounded by the engine.
"""

import os
import re
import shutil
import socket
import struct
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from .errors import SandboxUnavailable
from .excess import Excess
from .folders import abandoned
from .inside.keeper import OUT_OF_MEMORY
from .interpreter import QUESTION, Interpreter, understand
from .jail import DATA, INSIDE, Jail
from .wall import Command, Wall, need_filter

ENGINES = ("docker", "podman")
HOME = "/home/sandbox"
READ_ONLY = ("/", "/usr", "/etc", "/dev", "/run", "/run/boot", "/mnt", "/proc/sys/kernel")
"""Where the canary must not be able to create a file."""

_SOCKETS, _BOOT, _FONTS = "/run/k", "/run/boot", "/run/fonts"
_LABEL = "understudy"
_PATIENCE = 10.0
# What the command line itself needs: no keys of ours, and no proxies, which Podman would hand on.
_TOLD = ("PATH", "HOME", "DOCKER_", "CONTAINER", "XDG_")

_MESSAGES = (
    (r"mount|bind source path", "the engine must see this machine's folders: it must run here, not in another machine"),
)


class Container(Wall):
    """Jails that a container engine builds."""

    name = "docker"
    follows = False
    grouped = False
    scratch = ("/dev/shm", "/tmp", HOME)  # noqa: S108
    messages = _MESSAGES

    def __init__(self, image: str) -> None:
        need_filter()
        self._image = image
        self._engine = find(image)
        self._sweep()

    def inspect(self, python: Path | None) -> Interpreter:  # noqa: ARG002
        """The image's Python: another one named for the kernels is of this machine."""
        done = self._run("run", *_apart(), "--entrypoint", "python3", self._image, *QUESTION)
        called, remedy = f"image {self._image}", _build(self._engine, self._image)
        try:
            return understand(done.stdout, called, remedy)
        except ValueError as error:
            raise SandboxUnavailable(
                f"The code interpreter's {called} does not run ({_last(done.stderr)}): {remedy}."
            ) from error

    @contextmanager
    def command(self, jail: Jail) -> Iterator[Command]:
        """A container that is removed when it ends."""
        argv = [self._engine, "run", *arguments(jail, self._image)]
        # In a folder of its own: Podman leaves a note where it stands when memory ran out.
        yield Command(argv, _environment(), folder=jail.run)

    def end(self, process: subprocess.Popen[bytes]) -> None:
        """Close what the first process inside watches: it ends, and with it all others."""
        if process.stdin is not None:
            process.stdin.close()

    def top(self, process: subprocess.Popen[bytes], sockets: Path) -> int:  # noqa: ARG002
        """The container's first process: the parent of the one that listens."""
        with socket.socket(socket.AF_UNIX) as asking:
            try:
                asking.connect(str(sockets / "s-5"))
                kernel = struct.unpack("3i", asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
                return int(Path(f"/proc/{kernel}/stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                return 0

    def limit(self, status: int) -> Excess | None:
        """The system kills what a container has too much of in memory, its first process then says so."""
        return "memory" if status == OUT_OF_MEMORY else None

    def _sweep(self) -> None:
        """Remove what a server left that was killed, if it did not end by itself."""
        listed = self._run("ps", "--all", "--quiet", "--filter", f"label={_LABEL}").stdout.split()
        for one in listed:
            folder = self._run("inspect", "--format", f'{{{{index .Config.Labels "{_LABEL}"}}}}', one).stdout.strip()
            if folder and (not Path(folder).exists() or abandoned(Path(folder))):
                self._run("kill", one)  # Podman's `rm` alone first asks for ten seconds
                self._run("rm", "--force", one)

    def _run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return _call([self._engine, *arguments])


def arguments(jail: Jail, image: str) -> list[str]:
    """What the engine's `run` is told."""
    limits = jail.limits
    return [
        *_apart(),
        *("--name", f"{jail.run.parent.name}-{jail.run.name}", "--label", f"{_LABEL}={jail.run.parent}"),
        *("--interactive", "--hostname", "sandbox", "--user", _user(jail), "--workdir", DATA),
        *("--pids-limit", str(limits.processes), "--cpus", str(min(limits.blas_threads, os.cpu_count() or 1))),
        *("--memory", str(limits.memory), "--memory-swap", str(limits.memory), "--shm-size", str(limits.shared_memory)),
        *_scratch("/tmp", limits.tmp),  # noqa: S108
        *_scratch(HOME, limits.home),
        *_mounts(jail),
        *("--entrypoint", "env", image, "-i", *_variables(jail)),
        *(str(jail.interpreter.executable), "-s", "-P", f"{_BOOT}/boot.py"),
    ]


def _apart() -> list[str]:
    """What each container has, also the one that only asks the image's Python about itself."""
    # Without a log: the engine would write all that is printed to the host's disk.
    flags = ["--rm", "--pull", "never", "--network", "none", "--log-driver", "none", "--read-only"]
    return [*flags, "--cap-drop", "ALL", "--security-opt", "no-new-privileges"]


def _user(jail: Jail) -> str:
    return f"{os.geteuid()}:{os.getegid()}" if jail.uid is None else f"{jail.uid}:{jail.uid}"


def _scratch(path: str, size: int) -> list[str]:
    return ["--tmpfs", f"{path}:rw,exec,nosuid,nodev,mode=1777,size={size}"]


def _mounts(jail: Jail) -> list[str]:
    mounts = {DATA: str(jail.data), _BOOT: f"{INSIDE},readonly"}
    if jail.role == "kernel":
        mounts[_SOCKETS] = str(jail.sockets)
    if jail.fonts is not None:
        mounts[_FONTS] = f"{jail.fonts},readonly"
    return [flag for path, source in mounts.items() for flag in ("--mount", f"type=bind,target={path},source={source}")]


def environment(jail: Jail) -> dict[str, str]:
    """The environment inside, the boot script's settings aside."""
    return {**jail.environment(), "HOME": HOME, "USER": "sandbox", "TMPDIR": "/tmp"}  # noqa: S108


def _variables(jail: Jail) -> list[str]:
    limits = jail.rlimits()
    # It would count all processes of a user, in whichever container.
    del limits["NPROC"]
    settings = jail.settings(
        uid=None,
        keeper=True,
        limits=limits,
        fonts=_FONTS if jail.fonts is not None else None,
        environment=[*environment(jail), "LC_CTYPE"],
        read_only=READ_ONLY,
    )
    return [f"{name}={value}" for name, value in {**environment(jail), "UNDERSTUDY_BOOT": settings}.items()]


def find(image: str) -> str:
    """The command of an engine that answers and has the image."""
    refused = []
    for engine in ENGINES:
        path = shutil.which(engine)
        if path is None:
            continue
        # One question for both: an engine that does not answer fails otherwise than one that has no such image.
        done = _call([path, "image", "inspect", "--format", "{{.Id}}", image])
        if done.returncode == 0:
            return path
        if re.search(r"(?i)no such image|not known", done.stderr):
            refused.append(f"{engine} has no image {image}: {_build(engine, image)}.")
        else:
            refused.append(f"{engine} does not answer ({_last(done.stderr)}).")
    raise SandboxUnavailable(" ".join(refused) or "Neither Docker nor Podman is installed.")


def _build(engine: str, image: str) -> str:
    return (
        f"build it in Understudy's repository with `{Path(engine).name} build -f docker/kernel.Dockerfile -t {image} .`"
    )


def _call(argv: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    try:
        return subprocess.run(  # noqa: S603 - our own command line
            argv, env=_environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_PATIENCE
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(argv, 1, "", f"no answer within {_PATIENCE:g} seconds")


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith(_TOLD)}


def _last(message: str) -> str:
    return (message.strip().splitlines() or ["no message"])[-1]
