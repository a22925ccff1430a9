"""A real `understudy serve` in a process of its own."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import ClassVar

import httpx


class ServerProcess:
    """Started with the given flags; `url` is what OPENAI_BASE_URL would be."""

    running: ClassVar[set["ServerProcess"]] = set()
    """Those that were started and not ended."""

    def __init__(
        self,
        data_dir: Path,
        *flags: str,
        environ: dict[str, str] | None = None,
        command: str = "serve",
        launcher: tuple[str, ...] = (),
    ) -> None:
        """`launcher` is what starts the command, as somebody else perhaps; it must become that command."""
        self.data_dir = data_dir
        self._launcher = launcher
        self._flags = flags
        self._environ = environ or {}
        self._command = command
        self.log_file = data_dir.parent / f"{data_dir.name}.log"
        self.start()

    def start(self) -> None:
        """Start, or start again on the same data, and wait until requests are taken."""
        serve = [sys.executable, "-m", "understudy", self._command, "--port", "0", "--data-dir", str(self.data_dir)]
        self._from = self.log_file.stat().st_size if self.log_file.exists() else 0
        with self.log_file.open("ab") as log:
            command = [*self._launcher, *serve, *self._flags]
            self.process = subprocess.Popen(command, stderr=log, env=os.environ | self._environ)
        self.running.add(self)
        self.root = self._listening()
        self.url = f"{self.root}/v1"

    def _listening(self) -> str:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            for line in self.log().splitlines():
                if "listening on " in line:
                    return line.partition("listening on ")[2].partition(",")[0]
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        raise AssertionError(f"the server did not start:\n{self.log()}")

    def log(self) -> str:
        """What it has logged since its last start."""
        return self.log_file.read_bytes()[self._from :].decode()

    def health(self) -> dict[str, object]:
        """GET /health."""
        body: dict[str, object] = httpx.get(f"{self.root}/health", timeout=30).json()
        return body

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait()
        self.running.discard(self)

    def stop(self) -> int:
        """End it as a person would; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=20)
        self.running.discard(self)
        return code
