"""What one call printed and showed: turned into outputs, bounded, and passed on while it happens."""

import base64
import binascii
import hashlib
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .limits import KIB, SandboxLimits
from .outputs import Image, Logs, Output

OnOutput = Callable[[Output], Awaitable[None]]

_PAUSE = 0.05
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_SIGNATURES = {"image/png": b"\x89PNG\r\n\x1a\n", "image/jpeg": b"\xff\xd8\xff"}


@dataclass(frozen=True, slots=True)
class Names:
    """Paths of the host that the model should not see, and what it sees in their place."""

    everywhere: Mapping[str, str] = field(default_factory=dict)
    in_errors: Mapping[str, str] = field(default_factory=dict)
    """Replaced in tracebacks and stderr only: the code may go on to use a path that it printed itself."""

    def translate(self, code: str) -> str:
        """The code, meaning the host's paths where it names what it sees in their place."""
        paths = {name: path for path, name in self.everywhere.items()}
        if not paths:
            return code
        # In one go: a path may begin with another's name.
        named = rf"(?<![\w.~-])(?:{'|'.join(map(re.escape, paths))})(?![\w.-])"
        return re.sub(named, lambda found: paths[found[0]], code)

    def clean(self, text: str, error: bool) -> str:
        """The text with the paths replaced."""
        for path, name in self.everywhere.items():
            text = text.replace(path, name)
        for path, name in self.in_errors.items():
            # What the code prints may be a traceback too, its own or that of a program it ran.
            prefix = "" if error else 'File "'
            text = text.replace(prefix + path, prefix + name)
        return text


class Transcript:
    """The outputs of one call in their order."""

    def __init__(self, limits: SandboxLimits, on_output: OnOutput) -> None:
        self._limits = limits
        self._on_output = on_output
        self.names = Names()
        self._outputs: list[Output] = []
        self._pending: list[str] = []
        self._pending_since = 0.0
        self._room = limits.output
        self._seen: set[bytes] = set()
        self._dropped_images = 0
        self._cut = False
        self.notes: list[str] = []
        self.received = 0

    @property
    def outputs(self) -> tuple[Output, ...]:
        """All outputs that were passed on, neighbouring logs merged."""
        merged: list[Output] = []
        for output in self._outputs:
            if merged and isinstance(output, Logs) and isinstance(merged[-1], Logs):
                merged[-1] = Logs(merged[-1].text + output.text)
            else:
                merged.append(output)
        return tuple(merged)

    @property
    def due_in(self) -> float | None:
        """Seconds until gathered text should be passed on; None where there is none."""
        if not self._pending:
            return None
        return max(0.0, self._pending_since + _PAUSE - time.monotonic())

    async def add(self, kind: str, content: dict[str, Any], size: int) -> None:
        """Take in one message of the kernel's iopub channel."""
        if kind in ("display_data", "execute_result", "update_display_data"):
            size -= await self._show(content.get("data"))
        elif kind == "stream":
            self._print(_text(content.get("text")), content.get("name") == "stderr")
        elif kind == "error":
            self._print(_traceback(content), True)
        self.received += size

    async def flush(self) -> None:
        """Pass gathered text on."""
        if self._pending:
            text = "".join(self._pending)
            self._pending = []
            await self._pass_on(Logs(text))

    async def close(self) -> None:
        """Pass everything on, with the notes about what was left out."""
        if self._cut:
            self.notes.append(
                f"The output was longer than {self._limits.output // KIB} KiB and was cut: "
                "print less, or write to a file."
            )
        if self._dropped_images:
            self.notes.append(f"{self._dropped_images} images were left out: too many or too large for one call.")
        for note in self.notes:
            await self.remark(note)

    async def remark(self, note: str) -> None:
        """Put a sentence of ours on a line of its own."""
        if self._pending:
            fresh = self._pending[-1].endswith("\n")
        else:
            last = self._outputs[-1] if self._outputs else None
            fresh = not isinstance(last, Logs) or last.text.endswith("\n")
        self._gather(("" if fresh else "\n") + note + "\n")
        await self.flush()

    async def _pass_on(self, output: Output) -> None:
        self._outputs.append(output)
        await self._on_output(output)

    def _print(self, text: str, from_libraries: bool) -> None:
        if text and not self._room:
            self._cut = True
            return
        text = self.names.clean(text, from_libraries)
        kept = _fit(text, self._room)
        self._room -= len(kept.encode())
        self._cut = self._cut or len(kept) < len(text)
        if kept:
            self._gather(kept)

    def _gather(self, text: str) -> None:
        if not self._pending:
            self._pending_since = time.monotonic()
        self._pending.append(text)

    async def _show(self, bundle: object) -> int:
        """Show the best of a display's representations; the number of received bytes that need no counting."""
        if not isinstance(bundle, dict):
            return 0
        for media_type, signature in _SIGNATURES.items():
            content = _decode(bundle.get(media_type), signature)
            if content is not None:
                return await self._show_image(Image(content, media_type))
        text = _text(bundle.get("text/plain"))
        if text:
            self._print(text + "\n", False)
        return 0

    async def _show_image(self, image: Image) -> int:
        # A figure that is also its cell's last expression arrives twice.
        digest = hashlib.sha256(image.content).digest()
        if digest in self._seen:
            return 0
        if len(self._seen) >= self._limits.images or len(image.content) > self._limits.image:
            self._dropped_images += 1
            return 0
        self._seen.add(digest)
        await self.flush()
        await self._pass_on(image)
        return len(image.content) * 4 // 3


def _text(value: object) -> str:
    """A string as every database and every JSON takes it."""
    if not isinstance(value, str):
        return ""
    return value.encode("utf-8", "replace").decode().replace("\x00", "�")


def _traceback(content: dict[str, Any]) -> str:
    lines = content.get("traceback")
    if not isinstance(lines, list) or not lines:
        lines = [f"{content.get('ename')}: {content.get('evalue')}"]
    text = "\n".join(_text(line) for line in lines)
    return _ANSI.sub("", text).rstrip() + "\n"


def _decode(value: object, signature: bytes) -> bytes | None:
    if not isinstance(value, str):
        return None
    try:
        content = base64.b64decode(value)
    except (binascii.Error, ValueError):
        return None
    return content if content.startswith(signature) else None


def _fit(text: str, room: int) -> str:
    if len(text) * 4 <= room:
        return text
    encoded = text.encode()
    return text if len(encoded) <= room else encoded[:room].decode(errors="ignore")
