"""Is there a wall that holds? A canary is let loose in a jail, and each way to fail is mapped to its remedy."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, replace

from .bubblewrap import Bubblewrap
from .container import Container
from .errors import SandboxUnavailable
from .gateway import Gateway
from .jail import DATA, Jail
from .landlock import Landlock
from .unsafe_local import UnsafeLocal
from .wall import Boundary, Wall, WallOptions

OTHERWISE = "Or accept --sandbox unsafe-local for code you trust."
OFF = "The code interpreter is switched off: start the server with --sandbox auto."

MAKERS: dict[str, Callable[[WallOptions], Boundary]] = {
    "bubblewrap": lambda _: Bubblewrap(),
    "docker": lambda options: Container(options.image),
    "landlock": lambda _: Landlock(),
    "gateway": lambda options: Gateway(options.url, options.token),
    "unsafe-local": lambda _: UnsafeLocal(),
}
"""The walls by name; each is found out, and refused, when it is made."""
LADDER = ("bubblewrap", "docker", "landlock")
"""What `auto` tries, the strongest first."""
WALLS = ("auto", *MAKERS, "off")


@dataclass(frozen=True, slots=True)
class Verdict:
    """Which wall stands, or what to do when none does."""

    wall: str | None
    """Its name, or None."""
    hint: str | None
    """The remedy when there is no wall; a warning when the wall is none."""


@dataclass(frozen=True, slots=True)
class Fonts:
    """Matplotlib's list of fonts, under the name by which its version looks for it."""

    name: str
    content: bytes


def release_canary(wall: Wall, jail: Jail) -> None:
    """Run the canary in a jail and raise SandboxUnavailable unless every wall held; blocks for some 0.2 s."""
    secret = jail.run / "secret"
    secret.write_text("not for the jail")
    told = {
        "rooted": wall.rooted,
        "server": os.getpid(),
        "secret": str(secret),
        "network": os.readlink("/proc/self/ns/net"),
        "data": str(jail.data),
    }
    done = wall.run(replace(jail, role="canary", extra=told))
    if done.returncode != 0:
        message = done.stderr.strip().splitlines()[-1:] or [f"it ended with status {done.returncode}"]
        raise SandboxUnavailable(f"The code interpreter has no wall: {wall.explain(done.stderr)} ({message[0]}).")
    held = json.loads(done.stdout)["held"]
    down = [name for name, stood in held.items() if not stood]
    if down:
        raise SandboxUnavailable(f"The code interpreter's wall does not hold ({', '.join(down)}): it is not used.")


def build_fonts(wall: Wall, jail: Jail) -> Fonts | None:
    """Let matplotlib list its fonts in a jail, once, so that no kernel has to; None where that fails."""
    done = wall.run(replace(jail, role="fonts", extra={"cache": DATA}))
    found = sorted(jail.data.glob("fontlist-*.json"))
    return Fonts(found[0].name, found[0].read_bytes()) if done.returncode == 0 and found else None
