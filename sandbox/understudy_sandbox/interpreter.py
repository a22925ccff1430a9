"""The Python that runs the kernels: where it lies and whether it can run one."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import SandboxUnavailable

# Importing ipykernel here, outside the jail, also leaves the compiled files that a jail cannot write.
_PROGRAM = """
import json, os, sys
answer = {"version": list(sys.version_info[:2]), "prefix": sys.prefix, "executable": sys.executable,
          "roots": [sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix], "missing": None,
          "matplotlib": None}
try:
    import ipykernel.kernelapp
except ImportError as error:
    answer["missing"] = str(error)
else:
    from importlib.metadata import PackageNotFoundError, version
    try:
        answer["matplotlib"] = version("matplotlib")
    except PackageNotFoundError:
        pass
print(json.dumps(answer))
"""

QUESTION = ("-s", "-P", "-c", _PROGRAM)
"""Arguments with which a Python tells about itself."""

INSTALL = "pip install ipykernel pandas matplotlib (or all of the extra `interpreter`)"


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python that can run kernels."""

    executable: Path
    """As it was named, not resolved: a virtual environment is known by its own link."""
    prefix: Path
    roots: tuple[Path, ...]
    """The folders it needs; they may lie anywhere, pyenv's and uv's under a home folder."""
    matplotlib: str | None
    """The installed version, if any."""

    @property
    def site(self) -> str:
        """Where its programs are, for PATH."""
        return str(self.executable.parent)


def inspect(python: Path | None) -> Interpreter:
    """Ask a Python (the server's own, if None) about itself; blocks for some 0.2 s."""
    executable = Path(sys.executable) if python is None else python.absolute()
    called, remedy = f"Python {executable}", f"{INSTALL}, or name another Python with --sandbox-python"
    try:
        done = subprocess.run(  # noqa: S603 - the operator named it
            [executable, *QUESTION], env={}, cwd="/", capture_output=True, text=True, timeout=60
        )
        return understand(done.stdout, called, remedy)
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise SandboxUnavailable(f"The code interpreter's {called} does not run ({error}): {remedy}.") from error


def understand(answer: str, called: str, remedy: str) -> Interpreter:
    """What a Python said; ValueError if that is no answer, SandboxUnavailable if it cannot run kernels."""
    said: dict[str, Any] = json.loads(answer)
    if said["missing"] is not None:
        raise SandboxUnavailable(
            f"The code interpreter's {called} cannot import its kernel ({said['missing']}): {remedy}."
        )
    if tuple(said["version"]) < (3, 11):
        raise SandboxUnavailable(f"The code interpreter needs Python 3.11 or newer; {called} is older.")
    return Interpreter(Path(said["executable"]), Path(said["prefix"]), _roots(said["roots"]), said["matplotlib"])


def _roots(prefixes: list[str]) -> tuple[Path, ...]:
    """The prefixes without repetition and without those that lie inside another."""
    paths = {Path(prefix) for prefix in prefixes}
    return tuple(sorted(p for p in paths if not any(q in p.parents for q in paths)))
