"""Processes to measure, and a client small enough not to be what is measured."""

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self

JSON = dict[str, Any]
# Without PYTHONDONTWRITEBYTECODE: every start would compile the modules again.
_DROPPED = ("UNDERSTUDY_", "OPENAI_", "PYTHONDONTWRITEBYTECODE")
_ENVIRON = {name: value for name, value in os.environ.items() if not name.startswith(_DROPPED)}


class Process:
    """A Python process that serves HTTP on `port`; `{port}` in its arguments is filled in."""

    def __init__(self, log: Path, *arguments: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self._log = log
        command = [sys.executable, *(argument.replace("{port}", str(self.port)) for argument in arguments)]
        self._born = time.perf_counter()
        with log.open("ab") as output:
            self._popen = subprocess.Popen(command, stdout=output, stderr=output, env=_ENVIRON)

    def ready(self, method: str = "POST", path: str = "/v1/threads") -> float:
        """Seconds from the process's start until a request was answered with 200."""
        fields = "host: localhost\r\ncontent-type: application/json\r\ncontent-length: 2"
        while self._popen.poll() is None and time.perf_counter() < self._born + 60:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)) as connection:
                connection.sendall(f"{method} {path} HTTP/1.1\r\n{fields}\r\n\r\n{{}}".encode())
                if connection.recv(4096).startswith(b"HTTP/1.1 200"):
                    return time.perf_counter() - self._born
            time.sleep(0.002)
        raise RuntimeError(f"no answer at its start:\n{self._log.read_text()[-4000:]}")

    def cpu(self) -> float:
        """Seconds of CPU so far, user and system, all threads; the kernel's clock of another process."""
        return time.clock_gettime((~self._popen.pid << 3) | 2)

    def memory(self, kind: str) -> float:
        """MB, `Rss` or `Pss`."""
        rollup = Path(f"/proc/{self._popen.pid}/smaps_rollup").read_text()
        return int(rollup.partition(f"{kind}:")[2].split()[0]) / 1000

    def stop(self) -> None:
        self._popen.terminate()
        self._popen.wait()


def understudy(data: Path, *flags: str) -> Process:
    """A server on a data folder."""
    arguments = ("-m", "understudy", "serve", "--port", "{port}", "--data-dir", str(data))
    return Process(data.with_suffix(".log"), *arguments, *flags)


class Client:
    """One keep-alive connection."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()

    def _send(self, method: str, path: str, body: JSON | None) -> None:
        content = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        self._writer.write(f"{head}content-length: {len(content)}\r\n\r\n".encode() + content)

    async def ask(self, method: str, path: str, body: JSON | None = None) -> JSON:
        """The answer of a plain request."""
        self._send(method, path, body)
        head = await self._reader.readuntil(b"\r\n\r\n")
        content = await self._reader.readexactly(int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]))
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"{method} {path}: {content!r}")
        return json.loads(content)

    async def stream(self, path: str, body: JSON, first: bytes, last: bytes) -> float:
        """Read a stream to its end; seconds until `first` came. `last` has to come too, or it was no success."""
        started, begun, tail, seconds = time.perf_counter(), b"", b"", 0.0
        self._send("POST", path, body)
        while not tail.endswith(b"\r\n0\r\n\r\n"):
            piece = await self._reader.read(1 << 16)
            begun, tail = b"" if seconds else begun + piece, (tail + piece)[-4096:]
            if first in begun:
                seconds = time.perf_counter() - started
            if not piece:
                break
        if last not in tail or not seconds:
            raise RuntimeError(f"POST {path}: {tail!r}")
        return seconds
