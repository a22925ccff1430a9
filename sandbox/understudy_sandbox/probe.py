"""Is there a wall that holds? A canary is let loose in a jail, and each way to fail is mapped to its remedy."""

import json
import os
import platform
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from . import bubblewrap
from .errors import SandboxUnavailable
from .inside.seccomp import ARCHITECTURES
from .interpreter import Interpreter
from .jail import Jail
from .limits import SandboxLimits

UNSAFE = (
    "The code interpreter runs without any wall (unsafe-local): code that the model writes can read, change and "
    "send whatever this user can. Use it only with code you would run yourself."
)
OFF = "The code interpreter is switched off: start the server with --sandbox auto."
_OTHERWISE = "or accept --sandbox unsafe-local for code you trust"

_MESSAGES = (
    (
        r"loopback: Failed|uid map: Permission denied",
        (
            "AppArmor lets no ordinary program use user namespaces: install a profile for bwrap (Ubuntu: "
            "apt-get install apparmor-profiles && ln -s /usr/share/apparmor/extra-profiles/bwrap-userns-restrict "
            "/etc/apparmor.d/ && systemctl reload apparmor) or set kernel.apparmor_restrict_unprivileged_userns=0"
        ),
    ),
    (
        r"namespace failed|No permissions to creat|uid map|Operation not permitted.*userns|user namespaces",
        (
            "the system refuses user namespaces: set kernel.unprivileged_userns_clone=1 and a "
            "user.max_user_namespaces above 0; in a container see docker/compose.yaml, the hardened profile"
        ),
    ),
    (
        r"mount proc|/proc",
        "the container hides parts of /proc: start it with --security-opt systempaths=unconfined",
    ),
    (
        r"make / slave|mount tmpfs|pivot_root|remount|bind mount",
        (
            "the container may not mount: start it with --security-opt apparmor=unconfined and a seccomp profile that "
            "allows mount and pivot_root"
        ),
    ),
    (r"Unknown option", "this bubblewrap is too old: 0.8 or newer is needed"),
    (
        r"execvp .*|Permission denied|No such file",
        "the interpreter is not readable behind the wall: name one that every user may read with --sandbox-python",
    ),
    (
        r"ModuleNotFoundError|ImportError",
        (
            "the kernel cannot be imported behind the wall: pip install ipykernel pandas matplotlib "
            "into the Python that --sandbox-python names"
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Which wall stands, or what to do when none does."""

    wall: str | None
    """`bubblewrap`, `unsafe-local` or None."""
    hint: str | None
    """The remedy when there is no wall; a warning when the wall is none."""


@dataclass(frozen=True, slots=True)
class Fonts:
    """Matplotlib's list of fonts, under the name by which its version looks for it."""

    name: str
    content: bytes


def explain(message: str) -> str:
    """The remedy for what bubblewrap or the canary said last."""
    for pattern, remedy in _MESSAGES:
        if re.search(pattern, message):
            return remedy
    return "see the message"


def find_bubblewrap() -> str:
    """Bubblewrap's path, of a version that knows our options."""
    if not sys.platform.startswith("linux"):
        raise SandboxUnavailable(f"The code interpreter's wall needs Linux: run the server there, {_OTHERWISE}.")
    if platform.machine() not in ARCHITECTURES:
        raise SandboxUnavailable(f"The code interpreter's wall knows no {platform.machine()} processor, {_OTHERWISE}.")
    path = shutil.which("bwrap")
    if path is None:
        raise SandboxUnavailable(
            f"The code interpreter needs bubblewrap, which is not installed: apt-get install bubblewrap, {_OTHERWISE}."
        )
    said = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=10).stdout  # noqa: S603
    numbers = [int(n) for n in re.findall(r"\d+", said)[:2]]
    if numbers < [0, 8]:
        raise SandboxUnavailable(f"The code interpreter needs bubblewrap 0.8 or newer, found {said.strip()!r}.")
    return path


def release_canary(bwrap: str, interpreter: Interpreter, limits: SandboxLimits, run: Path, uid: int | None) -> None:
    """Run the canary in a jail and raise SandboxUnavailable unless every wall held; blocks for some 0.2 s."""
    secret = run / "secret"
    secret.write_text("not for the jail")
    told: dict[str, object] = {"secret": str(secret), "network": os.readlink("/proc/self/ns/net")}
    jail = Jail(interpreter, limits, run, _data(run, uid), uid, role="canary", extra=told)
    done = run_jail(bwrap, jail)
    if done.returncode != 0:
        message = done.stderr.strip().splitlines()[-1:] or [f"it ended with status {done.returncode}"]
        raise SandboxUnavailable(
            f"The code interpreter has no wall: {explain(done.stderr)} ({message[0]}), {_OTHERWISE}."
        )
    held = json.loads(done.stdout)["held"]
    down = [name for name, stood in held.items() if not stood]
    if down:
        raise SandboxUnavailable(
            f"The code interpreter's wall does not hold ({', '.join(down)}): not used, {_OTHERWISE}."
        )


def build_fonts(
    bwrap: str, interpreter: Interpreter, limits: SandboxLimits, run: Path, uid: int | None
) -> Fonts | None:
    """Let matplotlib list its fonts in a jail, once, so that no kernel has to; None where that fails."""
    data = _data(run, uid)
    told: dict[str, object] = {"cache": "/mnt/data"}
    done = run_jail(bwrap, Jail(interpreter, limits, run, data, uid, role="fonts", extra=told))
    found = sorted(data.glob("fontlist-*.json"))
    return Fonts(found[0].name, found[0].read_bytes()) if done.returncode == 0 and found else None


def run_jail(bwrap: str, jail: Jail) -> subprocess.CompletedProcess[str]:
    """Run one of the short roles to its end."""
    with bubblewrap.command(bwrap, jail) as command:
        try:
            return subprocess.run(  # noqa: S603 - our own command line
                command.argv, env={}, pass_fds=command.pass_fds, capture_output=True, text=True, timeout=60
            )
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(command.argv, 1, "", "it did not end within a minute")


def _data(run: Path, uid: int | None) -> Path:
    data = run / "data"
    data.mkdir()
    if uid is not None:
        os.chown(data, uid, uid)
    return data
