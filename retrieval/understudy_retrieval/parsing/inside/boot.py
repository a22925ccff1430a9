"""The child's program: limits itself, reads one file, writes its text, a NUL and a verdict in JSON to stdout.

Run as `python -I boot.py SETTINGS`, settings in JSON.
"""

import importlib
import json
import os
import re
import sys
import types
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

MODULES = {".doc": "doc", ".docx": "docx", ".html": "web", ".pdf": "pdf", ".pptx": "pptx"}
PIECE = 256 * 1024
DESCRIPTORS = 64

# What no database keeps or no reader sees: control characters, soft hyphens, lone surrogates, byte order marks,
# noncharacters.
UNWANTED = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f-\x84\x86-\x9f\xad\ud800-\udfff\ufeff\ufffe\uffff]+")
LINE_ENDS = re.compile("\r\n?|[\x0b\x85]")


def load(name: str) -> Any:
    """A module beside this one: isolated, python looks for none here."""
    if "inside" not in sys.modules:
        package = types.ModuleType("inside")
        package.__path__ = [os.path.dirname(os.path.abspath(__file__))]
        sys.modules["inside"] = package
    return importlib.import_module(f"inside.{name}")


def die_with(parent: int) -> None:
    """Ask the kernel to kill this process when its parent ends."""
    if sys.platform == "linux":
        import ctypes

        PR_SET_PDEATHSIG, SIGKILL = 1, 9  # noqa: N806 - named as in the manual
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)
    if sys.platform != "win32" and os.getppid() != parent:
        sys.exit(1)


def step_back() -> None:
    """Let the server go first, and be the one that goes when memory is short."""
    if sys.platform == "linux":
        with suppress(OSError):
            os.nice(10)
        with suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
            file.write("1000")


def limit(memory: int, cpu: int) -> None:
    """Set resource limits; what the platform lacks or refuses is left as it is."""
    if sys.platform == "win32":
        return
    import resource

    limits = {"AS": memory, "CPU": cpu, "FSIZE": 0, "CORE": 0, "NOFILE": DESCRIPTORS, "NPROC": 0}
    for name, value in limits.items():
        with suppress(AttributeError, OSError, ValueError):
            number = getattr(resource, f"RLIMIT_{name}")
            hard = resource.getrlimit(number)[1]
            ceiling = value if hard == resource.RLIM_INFINITY else min(value, hard)
            resource.setrlimit(number, (ceiling, ceiling))


class Outlet:
    """Where text goes: cleaned, counted, in UTF-8."""

    def __init__(self, limit: int) -> None:
        self.blank = True
        self.full = False
        self._room = limit
        self._buffer: list[str] = []
        self._buffered = 0
        self._open_end = ""

    def write(self, text: str) -> None:
        """Take some text; `full` once there was too much."""
        self._buffer.append(text)
        self._buffered += len(text)
        if self._buffered >= PIECE:
            self.flush()

    def flush(self, end: bool = False) -> None:
        """Send what was taken, but for a line end that may go on."""
        text = self._open_end + "".join(self._buffer)
        self._buffer, self._buffered, self._open_end = [], 0, ""
        if text.endswith("\r") and not end:
            text, self._open_end = text[:-1], "\r"
        encoded = UNWANTED.sub("", LINE_ENDS.sub("\n", text)).encode()
        self._room -= len(encoded)
        self.blank = self.blank and not encoded.strip()
        self.full = self._room < 0
        if not self.full:
            sys.stdout.buffer.write(encoded)


def pour(texts: Iterator[str], outlet: Outlet) -> str | None:
    """Write all text; why there is too much or none of it."""
    for text in texts:
        outlet.write(text)
        if outlet.full:
            return "too large"
    outlet.flush(end=True)
    if outlet.full:
        return "too large"
    return "unreadable" if outlet.blank else None


def main() -> None:
    """Read the file that the settings name."""
    settings: dict[str, Any] = json.loads(sys.argv[1])
    limits: dict[str, Any] = settings["limits"]
    die_with(settings["parent"])
    refusals = load("refusal")
    module = load(MODULES.get(settings["suffix"], "plain"))
    step_back()
    limit(limits["memory"], limits["cpu"])
    refusal: str | None
    try:
        refusal, reason = pour(module.texts(settings["path"], limits), Outlet(limits["text"])), "no text"
    except (refusals.TooLargeError, MemoryError) as error:
        refusal, reason = "too large", repr(error)
    except Exception as error:
        # Libraries raise what they like over a file that somebody made to break them.
        refusal, reason = "unreadable", repr(error)
    sys.stdout.buffer.write(b"\0" + json.dumps({"refusal": refusal, "reason": reason[:500]}).encode())
    sys.stdout.buffer.flush()
    # Not through the interpreter's end: a library's own clean-up must not turn an answer into a crash.
    os._exit(0)


if __name__ == "__main__":
    main()
