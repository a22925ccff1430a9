"""One file, one child process: started, watched, read and always reaped."""

import codecs
import json
import logging
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import anyio
from anyio import to_thread
from anyio.abc import Process

from understudy_retrieval.errors import FileRefusedError
from understudy_retrieval.parsing.limits import ParseLimits
from understudy_retrieval.parsing.types import SUPPORTED_SUFFIXES, suffix_of

log = logging.getLogger("understudy_retrieval")

_USUAL = ParseLimits()
_PROGRAM = Path(__file__).parent / "inside" / "boot.py"
# Without these some interpreters do not find their own libraries.
_KEPT_VARIABLES = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT")
_PIECE = 64 * 1024
_LONGEST_VERDICT = 4096
_AT_ONCE = 64


async def parse(path: Path, filename: str, limits: ParseLimits = _USUAL) -> str:
    """The text of a file, whose type its name tells. Raises FileRefusedError; OSError where there is no file."""
    suffix = suffix_of(filename)
    if suffix not in SUPPORTED_SUFFIXES:
        raise FileRefusedError.unsupported()
    size = os.stat(path).st_size
    if size == 0:
        raise FileRefusedError.unreadable()
    if size > limits.file:
        raise FileRefusedError.too_large()
    answer = await _ask_child(path, suffix, limits)
    if answer.refusal == "too large":
        raise FileRefusedError.too_large()
    if answer.refusal is not None:
        log.info("%r could not be parsed: %s", filename, answer.reason)
        raise FileRefusedError.unreadable()
    return await to_thread.run_sync(_decode, answer.pieces)


class _Answer:
    """What the child wrote: text, a NUL, its verdict as JSON. Text holds no NUL."""

    def __init__(self, limit: int) -> None:
        self.pieces: list[bytes] = []
        self.refusal: str | None = None
        self.reason = ""
        self._room = limit
        self._verdict: bytes | None = None

    @property
    def full(self) -> bool:
        """Whether the child wrote more than it may."""
        return self._room < 0

    def take(self, piece: bytes) -> None:
        if self._verdict is None:
            piece, mark, rest = piece.partition(b"\0")
            self.pieces.append(piece)
            self._room -= len(piece)
            if mark:
                self._verdict, self._room = rest, _LONGEST_VERDICT - len(rest)
        else:
            self._verdict += piece
            self._room -= len(piece)

    def refuse(self, refusal: str | None, reason: str = "") -> None:
        self.refusal, self.reason = refusal, reason

    def conclude(self, status: int) -> None:
        """Read the verdict of a child that has ended."""
        if status != 0 or self._verdict is None:
            self.refuse("unreadable", f"the parser ended with status {status}")
            return
        try:
            verdict: dict[str, str | None] = json.loads(self._verdict)
            self.refuse(verdict["refusal"], verdict["reason"] or "")
        except (LookupError, TypeError, ValueError):
            # A file took the parser over, and its words are not to be trusted.
            self.refuse("unreadable", "the parser's verdict makes no sense")


async def _ask_child(path: Path, suffix: str, limits: ParseLimits) -> _Answer:
    answer = _Answer(limits.text)
    with anyio.move_on_after(limits.wall) as deadline:
        with anyio.CancelScope(shield=True):
            # Cancelled half-way, asyncio leaves a child behind that nobody knows.
            child = await _start(path, suffix, limits)
        try:
            await _listen(child, answer)
        finally:
            await _end(child)
    if deadline.cancelled_caught:
        answer.refuse("unreadable", f"it took longer than {limits.wall:g} seconds")
    return answer


async def _start(path: Path, suffix: str, limits: ParseLimits) -> Process:
    settings = {"path": str(path), "suffix": suffix, "parent": os.getpid(), "limits": asdict(limits)}
    # Started by the loop's own thread: the child dies with the thread that started it.
    return await anyio.open_process(
        [sys.executable, "-I", str(_PROGRAM), json.dumps(settings)],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ},
        start_new_session=True,
    )


async def _listen(child: Process, answer: _Answer) -> None:
    assert child.stdout is not None
    while not answer.full:
        try:
            answer.take(await child.stdout.receive(_PIECE))
        except anyio.EndOfStream:
            answer.conclude(await child.wait())
            return
    answer.refuse("too large")


async def _end(child: Process) -> None:
    """Kill it if it still runs, and wait until it is gone."""
    with anyio.CancelScope(shield=True):
        if child.returncode is None:
            child.kill()
        await child.aclose()


def _decode(pieces: list[bytes]) -> str:
    """All text; bit by bit, since one long call would keep the interpreter's lock from the event loop."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    texts = []
    while pieces:
        texts.append("".join([decoder.decode(piece) for piece in pieces[:_AT_ONCE]]))
        del pieces[:_AT_ONCE]
    return "".join(texts)
