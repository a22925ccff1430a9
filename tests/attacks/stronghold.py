"""A server behind one wall, as one user, and the official client that has it run code."""

import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openai import OpenAI

from tests.attacks.standings import Standing
from tests.conftest import official_client
from tests.runs.streams import CODE, assistant_with, thread_with
from tests.scripted_upstream import Reply, ScriptedUpstream
from tests.server_process import ServerProcess

AFTER = "print(2 + 2, 'before' in globals())"
"""The next call of a thread; it also tells whether the variables are still there."""


@dataclass(frozen=True)
class Outcome:
    """What became of an attack."""

    logs: str
    """What the attacking call left."""
    images: int
    after: str
    """What the next call left."""
    thread: str
    answer: Any
    """The assistant's message."""


class Stronghold:
    """Its server has to be closed."""

    def __init__(self, standing: Standing, upstream: ScriptedUpstream, *limits: str) -> None:
        self.standing = standing
        self._upstream = upstream
        self._folder = Path(tempfile.mkdtemp(prefix="stronghold-", dir="/tmp"))
        standing.give(self._folder)
        flags = ("--upstream", upstream.url, "--sandbox", standing.wall, *limits)
        environ = {"HOME": str(self._folder), "OPENAI_API_KEY": "sk-canary"}
        self.server = ServerProcess(self._folder / "data", *flags, environ=environ, launcher=standing.launcher())
        self.client: OpenAI = official_client(self.server)
        # What notes the tests' requests gets ready with the first, which must not be several at once.
        self.client.models.list()

    def restart(self) -> None:
        """Start a server that was killed."""
        self.server.start()
        self.client = official_client(self.server)

    def close(self) -> None:
        """Stop the server; all went well only if it ends in good order."""
        self.client.close()
        try:
            assert self.server.stop() == 0, self.server.log()
        finally:
            shutil.rmtree(self._folder)

    def thread(self) -> str:
        """A new thread."""
        return thread_with(self.client)

    def run(self, thread: str, *cells: str, answer: str = "done") -> list[tuple[str, int]]:
        """The text and the number of images that each of these calls left, in one run."""
        replies = [Reply(calls=[("code_interpreter", {"code": cell})]) for cell in cells]
        assistant = assistant_with(self.client, self._upstream.script(*replies, Reply(answer)), [CODE])
        runs = self.client.beta.threads.runs
        run = runs.create_and_poll(thread_id=thread, assistant_id=assistant, poll_interval_ms=50)
        assert run.status == "completed", (run.last_error, self.server.log()[-6000:])
        steps: Any = runs.steps.list(run.id, thread_id=thread, order="asc").data
        calls = [call for step in steps if step.type == "tool_calls" for call in step.step_details.tool_calls]
        return [_left(call.code_interpreter.outputs) for call in calls]

    def logs(self, thread: str, cell: str) -> str:
        """The text that one call left."""
        return self.run(thread, cell)[0][0]

    def attack(self, code: str, answer: str = "done") -> Outcome:
        """Run an attack on a thread of its own, then that thread's next call."""
        thread = self.thread()
        (logs, images), (after, _) = self.run(thread, f"before = 1\n{code}", AFTER, answer=answer)
        assert self.server.health()["status"] == "ok"
        (message, *_) = self.client.beta.threads.messages.list(thread).data
        return Outcome(logs, images, after, thread, message)


def _left(outputs: list[Any]) -> tuple[str, int]:
    logs = "".join(output.logs for output in outputs if output.type == "logs")
    return logs, sum(output.type == "image" for output in outputs)


def literally(code: str) -> str:
    """The code with the host's /tmp in it, where a wall would take that for the jail's own."""
    return code.replace("/tmp", r"/t\x6dp")


def runs(word: str) -> bool:
    """Whether a process of this machine has this word in its command line."""
    return any(word.encode() in _command_line(folder) for folder in Path("/proc").glob("[0-9]*"))


def ends(word: str) -> bool:
    """Whether no process has it, or soon none will have."""
    deadline = time.monotonic() + 5
    while runs(word) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not runs(word)


def _command_line(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""
