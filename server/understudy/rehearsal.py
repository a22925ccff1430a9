"""`understudy test`: a server in test mode for as long as a command runs."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from understudy.serve import serve
from understudy.settings import Settings, UsageError
from understudy.testing.environment import environment

KEY = "sk-understudy"
_GRACE_SECONDS = 10


def rehearse(settings: Settings, options: Mapping[str, Any], environ: Mapping[str, str] = os.environ) -> int:
    """Serve, run the command with OPENAI_BASE_URL and OPENAI_API_KEY set, and stop; the command's exit code.

    Without a command it serves until a signal, or until its input ends where the listening socket was inherited. Data
    goes into a folder that is deleted at the end, unless one was named. Raises UsageError and StartError.
    """
    command = list(options["test_command"])
    if command[:1] == ["--"]:
        del command[0]
    if command and shutil.which(command[0]) is None:
        raise UsageError(f"test: there is no command {command[0]}")
    if not (options.get("log_level") or environ.get("UNDERSTUDY_LOG_LEVEL")):
        # The command's own output is what people look at.
        settings = replace(settings, log_level="warning")
    if command and not (options.get("port") or environ.get("UNDERSTUDY_PORT")):
        settings = replace(settings, port=0)
    tests = _Tests(command, settings.api_key[0] if settings.api_key else KEY, options["port_file"], options["fd"])
    with tests, tempfile.TemporaryDirectory(prefix="understudy-test-") as folder:
        # Users of landlock's sessions pass through it, as through the folder that the server makes in it.
        Path(folder).chmod(0o711)
        if not (options.get("data_dir") or environ.get("UNDERSTUDY_DATA_DIR")):
            settings = replace(settings, data_dir=Path(folder) / "data")
        serve(settings, tests, options["fd"])
    return tests.exit_code


class _Tests:
    """The command beside the server, whose stop it asks for when it ends."""

    def __init__(self, command: list[str], key: str, port_file: Path | None, fd: int | None) -> None:
        self._command = command
        self._key = key
        self._port_file = port_file
        self._fd = fd
        self._process: subprocess.Popen[bytes] | None = None
        self.exit_code = 0

    def begin(self, root: str, stop: Callable[[], None]) -> None:
        """Start the command."""
        if self._command:
            self._process = subprocess.Popen(self._command, env=self._environment(root))  # noqa: S603 - it is asked for
            threading.Thread(target=self._await_command, args=(stop,), daemon=True).start()
        elif self._fd is not None:
            threading.Thread(target=_await_end_of_input, args=(stop,), daemon=True).start()
        if self._port_file is not None:
            fresh = self._port_file.with_name(f"{self._port_file.name}.new")
            fresh.write_text(f"{root.rpartition(':')[2]}\n")
            fresh.replace(self._port_file)

    def _environment(self, root: str) -> dict[str, str]:
        return {**os.environ, **environment(root, self._key)}

    def _await_command(self, stop: Callable[[], None]) -> None:
        assert self._process is not None
        code = self._process.wait()
        # As a shell tells of a signal.
        self.exit_code = 128 - code if code < 0 else code
        stop()

    def __enter__(self) -> None:
        """Nothing begins before the server listens."""

    def __exit__(self, *_: object) -> None:
        if self._port_file is not None:
            self._port_file.unlink(missing_ok=True)
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_GRACE_SECONDS)
            self._process.kill()
            self.exit_code = 128 + signal.SIGTERM


def _await_end_of_input(stop: Callable[[], None]) -> None:
    while sys.stdin.buffer.read(4096):
        pass
    stop()
