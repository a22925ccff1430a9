"""A Python that every user may read, for kernels whose user is not the tests'."""

import atexit
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from functools import cache
from pathlib import Path


@cache
def readable_python() -> Path:
    """The tests' own where everybody may read it, else the system's of the same version, with the same packages."""
    executable = Path(sys.executable)
    if all(folder.stat().st_mode & 0o001 for folder in (*executable.parents, *executable.resolve().parents)):
        return executable
    base = shutil.which(f"python3.{sys.version_info.minor}", path="/usr/local/bin:/usr/bin")
    assert base is not None, f"nobody else may read {executable.resolve()}, and there is no other Python of its version"
    return _copy(base)


def _copy(base: str) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="understudy-python-"))
    atexit.register(shutil.rmtree, folder)
    folder.chmod(0o755)
    subprocess.run([base, "-m", "venv", "--without-pip", folder], check=True)
    packages = Path(sysconfig.get_path("purelib"))
    target = folder / packages.relative_to(sys.prefix)
    target.rmdir()
    shutil.copytree(packages, target, copy_function=_link, ignore=shutil.ignore_patterns("*.pth"))
    return folder / "bin/python"


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
