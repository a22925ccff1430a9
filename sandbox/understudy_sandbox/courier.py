"""Carries a session's files to a kernel that cannot see their folder, and back what the code made of them.

The other side is what the code left of it, so names, numbers and sizes of what comes back are vetted.
"""

import base64
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio

from .channels import ProtocolError
from .excess import Excess
from .files import SessionFiles
from .folders import delete_tree
from .limits import MIB, SandboxLimits

_PIECE = MIB

# Runs in the kernel, by expressions that leave no name behind; each function's answer is bytes.
_THERE = """
import atexit, base64, json, os, shutil, stat, sys, tempfile
def settle():
    folder = os.path.realpath(tempfile.mkdtemp(prefix="understudy-"))
    atexit.register(shutil.rmtree, folder, True)
    os.chdir(folder)
    sys.path.append(folder)
    return json.dumps({"folder": folder, "prefix": sys.prefix}).encode()
def look(folder, most):
    found = {}
    for top, _, names in os.walk(folder):
        for path in [os.path.join(top, name) for name in names]:
            state = os.lstat(path)
            if stat.S_ISREG(state.st_mode):
                found[os.path.relpath(path, folder)] = [state.st_size, state.st_mtime_ns]
        if len(found) > most:
            break
    return json.dumps(found).encode()
def read(path, start, size):
    with open(path, "rb") as file:
        file.seek(start)
        return file.read(size)
def write(path, content):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "ab" if content else "wb") as file:
        file.write(base64.b64decode(content))
    state = os.lstat(path)
    return json.dumps([state.st_size, state.st_mtime_ns]).encode()
"""

Mark = tuple[int, int]
"""Size and time of change on the other side."""


def _call(name: str, *arguments: object) -> str:
    told = ", ".join(map(repr, arguments))
    coded = f"__import__('base64').b64encode(n[{name!r}]({told})).decode()"
    return f"(lambda n: (exec({_THERE!r}, n), {coded})[1])({{}})"


SETTLE = _call("settle")
"""An expression that makes the code's folder and tells, as JSON, its name and that of the Python's."""


class Courier:
    """Between one session's files and one kernel's folder."""

    def __init__(self, evaluate: Callable[[str], Awaitable[bytes]], folder: str, limits: SandboxLimits) -> None:
        self._evaluate = evaluate
        self._folder = folder
        self._limits = limits
        self._here: dict[str, Any] = {}
        """The files of this side as they were when both were alike."""
        self._there: dict[str, Mark] = {}

    async def send(self, files: SessionFiles) -> None:
        """Bring the other side what is new here; ProtocolError where it does not take it."""
        marks = (await anyio.to_thread.run_sync(files.snapshot)).marks
        for name, mark in marks.items():
            if self._here.get(name) != mark:
                self._there[name] = await self._write(files, name)
        self._here = marks

    async def _write(self, files: SessionFiles, name: str) -> Mark:
        with files.open(name) as source:
            mark = await self._append(name, b"")
            while content := await anyio.to_thread.run_sync(source.read, _PIECE):
                mark = await self._append(name, content)
        return mark

    async def _append(self, name: str, content: bytes) -> Mark:
        coded = base64.b64encode(content).decode()
        return _mark(_read_json(await self._evaluate(_call("write", self._path(name), coded))))

    async def receive(self, files: SessionFiles) -> Excess | None:
        """Bring here what the code made of the files, or tell the limit that they are beyond."""
        found = await self._look()
        if len(found) > self._limits.files:
            return "files"
        if sum(size for size, _ in found.values()) > self._limits.disk + files.given:
            return "disk"
        for name in self._there.keys() - found.keys():
            await anyio.to_thread.run_sync(_remove, files.data, name)
        for name, mark in found.items():
            if self._there.get(name) != mark:
                await self._read(files, name, mark[0])
        self._here = (await anyio.to_thread.run_sync(files.snapshot)).marks
        self._there = found
        return None

    async def _look(self) -> dict[str, Mark]:
        answer = await self._evaluate(_call("look", self._folder, self._limits.files))
        told = _read_json(answer)
        if not isinstance(told, dict):
            raise ProtocolError("the kernel tells no files")
        found = {name: _mark(mark) for name, mark in told.items()}
        return {name: mark for name, mark in found.items() if self._is_name(name)}

    def _is_name(self, name: str) -> bool:
        """Whether it names something inside the folder, and can be stored and told."""
        parts = name.split("/")
        try:
            longest = max(len(part.encode()) for part in parts)
        except UnicodeEncodeError:
            return False
        return (
            longest <= 255
            and len(parts) <= self._limits.depth
            and not {"", ".", ".."} & set(parts)
            and "\0" not in name
        )

    async def _read(self, files: SessionFiles, name: str, size: int) -> None:
        copy = files.path / "arriving"
        with copy.open("wb") as stream:
            while (start := stream.tell()) < size:
                piece = await self._evaluate(_call("read", self._path(name), start, min(_PIECE, size - start)))
                if not piece:
                    break
                await anyio.to_thread.run_sync(stream.write, piece[: size - start])
        await anyio.to_thread.run_sync(_place, copy, files, name)

    def _path(self, name: str) -> str:
        return f"{self._folder}/{name}"


def _read_json(answer: bytes) -> Any:
    try:
        return json.loads(answer)
    except (ValueError, RecursionError) as error:
        raise ProtocolError("the kernel's answer cannot be read") from error


def _mark(value: Any) -> Mark:
    match value:
        case [int(size), int(changed)] if size >= 0:
            return size, changed
    raise ProtocolError("the kernel tells no state of a file")


def _place(copy: Path, files: SessionFiles, name: str) -> None:
    """Put a file where its name says; only this side writes in the folder, so names can be followed."""
    copy.chmod(0o644)
    target = files.data / name
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_dir():
        delete_tree(target)
    copy.replace(target)


def _remove(data: Path, name: str) -> None:
    path = data / name
    path.unlink(missing_ok=True)
    for parent in path.relative_to(data).parents[:-1]:
        try:
            (data / parent).rmdir()
        except OSError:
            return
