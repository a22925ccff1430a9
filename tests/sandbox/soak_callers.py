"""Those who call in a soak: what each asks of its threads, and what has to come back."""

import contextlib
import random
import re
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from openai import APIConnectionError, BadRequestError, NotFoundError

from tests.conftest import official_client
from tests.sandbox import accounts
from tests.sandbox.mischief import FILE, HONEST, IMAGE, MISCHIEFS, WAIT, choose
from tests.scripted_upstream import JSON
from tests.server_process import ServerProcess

FINAL = {"completed", "failed", "cancelled", "expired", "incomplete"}
LOST = "The interpreter was restarted"
DIED = ("The interpreter ended during this call", "sent something unreadable")
NOT_STARTED = "The code interpreter did not start"
_PATIENCE = 60.0


@dataclass
class Conversation:
    """A thread of the API and what its interpreter has to know."""

    id: str
    count: int = 0
    kept: int = 0
    sure: bool = True
    """Not after a server was killed under a call: it may have happened or not."""
    past: list[str] = field(default_factory=list)
    """What was asked of it, for whoever looks into a complaint."""


@dataclass
class Soak:
    """One soak."""

    server: ServerProcess
    assistant: str
    folder: Path
    calls: int
    seed: int
    met: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    up: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    begun: int = 0
    killed: int = 0
    """Processes that the soak killed."""
    deaths: int = 0
    """Calls that ended for no reason of their own."""

    def next_call(self) -> int | None:
        """The number of the next call; None after the last."""
        with self.lock:
            if self.begun == self.calls:
                return None
            self.begun += 1
            return self.begun

    def note(self, name: str) -> None:
        with self.lock:
            self.met[name] += 1

    def complain(self, sentence: str) -> None:
        with self.lock:
            self.wrong.append(sentence)
        print("WRONG:", sentence, flush=True)

    def died(self) -> None:
        with self.lock:
            self.deaths += 1
            self.met["(call that died with a killed process)"] += 1

    def ready(self) -> None:
        """Wait until the wall was tried: a canary that is killed is no canary that came back."""
        while "walled by" not in self.server.log():
            time.sleep(0.05)

    def kill_server(self) -> None:
        """kill -9 and a new start on the same data."""
        self.up.clear()
        self.server.kill()
        deadline = time.monotonic() + 5
        while left := accounts.orphans([]):
            if time.monotonic() > deadline:
                self.complain(f"{len(left)} processes outlive their killed server")
                break
            time.sleep(0.02)
        self.server.start()
        self.ready()
        self.note("(server killed and started again)")
        self.up.set()


class Caller:
    """One of those who call at the same time, each in threads of its own."""

    def __init__(self, soak: Soak, number: int, threads: int) -> None:
        self.soak = soak
        self.chance = random.Random(f"{soak.seed} {number}")
        self.client = official_client(soak.server)
        self.conversations = [self.new() for _ in range(threads)]

    def new(self) -> Conversation:
        return Conversation(self.client.beta.threads.create().id)

    def work(self) -> None:
        """Call until enough was called."""
        at = 0
        while (number := self.soak.next_call()) is not None:
            if self.chance.random() < 0.5:
                at = self.chance.randrange(len(self.conversations))
            kind = choose(self.chance)
            try:
                self.call(at, kind, number)
            except (APIConnectionError, httpx.TransportError) as error:
                self.recover(self.conversations[at], kind, error)
            except Exception as error:
                past = self.conversations[at].past[-4:]
                self.soak.complain(f"{kind}: {type(error).__name__}: {error} after {past}")
                self.conversations[at].sure = False
        self.client.close()

    def recover(self, conversation: Conversation, kind: str, error: Exception) -> None:
        """After the server was killed: its clients come back."""
        if self.soak.up.is_set() and self.client.base_url == f"{self.soak.server.url}/":
            self.soak.complain(f"{kind}: {type(error).__name__}: {error}")
        self.soak.note("(call broken by the killed server)")
        self.soak.up.wait(60)
        self.client.close()
        self.client = official_client(self.soak.server)
        conversation.sure = False
        try:
            self.wait(conversation)
        except NotFoundError:
            conversation.id = self.new().id

    def wait(self, conversation: Conversation) -> None:
        """Wait until all runs of a thread have ended."""
        deadline = time.monotonic() + _PATIENCE
        while waiting := [
            run.id for run in self.client.beta.threads.runs.list(conversation.id, limit=3) if run.status not in FINAL
        ]:
            if time.monotonic() > deadline:
                self.soak.complain(f"{waiting} never ended")
                return
            time.sleep(0.1)

    def call(self, at: int, kind: str, number: int) -> None:
        """Make one call of a kind."""
        conversation = self.conversations[at]
        conversation.past.append(kind)
        match kind:
            case "honest":
                self.honest(conversation)
            case "file":
                self.file(conversation, number)
            case "image":
                self.image(conversation, number)
            case "mischief":
                self.mischief(conversation)
            case "cancelled":
                self.cancelled(conversation)
            case "client gone":
                self.leave(conversation)
            case "thread deleted":
                self.delete(at)
            case "process killed":
                self.assassinate(conversation)
        self.soak.note(kind)

    def begin(self, conversation: Conversation, code: str, **how: Any) -> Any:
        messages: Any = [{"role": "user", "content": code}]
        return self.client.beta.threads.runs.create(
            thread_id=conversation.id, assistant_id=self.soak.assistant, additional_messages=messages, **how
        )

    def run(self, conversation: Conversation, code: str) -> str | None:
        """Run code to its end; what it told, None where it died with a process that was killed."""
        run = None
        for event in self.begin(conversation, code, stream=True):
            if event.event.startswith("thread.run.") and "step" not in event.event:
                run = event.data
        return self.outcome(conversation, run)

    def outcome(self, conversation: Conversation, run: Any) -> str | None:
        """What a run's code told; what that means for the interpreter's state."""
        if run.status == "failed" and NOT_STARTED in run.last_error.message:
            self.soak.died()
            return None
        if run.status != "completed":
            raise AssertionError(f"the run is {run.status}: {run.last_error}")
        said = "".join(output.get("logs", "<image>") for output in self.outputs(run))
        if LOST in said:
            conversation.count = 0
        return said

    def outputs(self, run: Any) -> list[JSON]:
        steps = self.client.beta.threads.runs.steps.list(run.id, thread_id=run.thread_id)
        calls = [call for step in steps if step.type == "tool_calls" for call in step.step_details.tool_calls]  # type: ignore[union-attr]
        return [output.to_dict() for call in calls for output in call.code_interpreter.outputs]  # type: ignore[union-attr]

    def expect(self, said: str | None, pattern: str) -> bool:
        """Whether a call told what it had to; one that died with a killed process need not."""
        if said is None:
            return False
        if re.search(pattern, said, re.DOTALL):
            return True
        if any(death in said for death in DIED):
            self.soak.died()
            return False
        raise AssertionError(f"expected {pattern!r}, was told {said[-500:]!r}")

    def honest(self, conversation: Conversation) -> None:
        said = self.run(conversation, HONEST)
        if not self.expect(said, r"counted \d+ \d+"):
            conversation.sure = False
            return
        assert said is not None
        count, kept = map(int, re.findall(r"counted (\d+) (\d+)", said)[0])
        if conversation.sure:
            assert count == conversation.count + 1, f"counted {count} after {conversation.count}: {said!r}"
            assert kept == conversation.kept + 1, f"{kept} letters after {conversation.kept}: {said!r}"
        conversation.count, conversation.kept, conversation.sure = count, kept, True

    def file(self, conversation: Conversation, number: int) -> None:
        said = self.run(conversation, FILE.format(number=number))
        if not self.expect(said, r"^\d\d\n"):
            return
        (message,) = self.client.beta.threads.messages.list(conversation.id, limit=1).data
        (annotation,) = message.content[0].text.annotations  # type: ignore[union-attr]
        content = self.client.files.content(annotation.file_path.file_id).read()  # type: ignore[union-attr]
        assert content == f"made in number {number}".encode(), content

    def image(self, conversation: Conversation, number: int) -> None:
        said = self.run(conversation, IMAGE.format(number=number))
        self.expect(said, "<image>")

    def mischief(self, conversation: Conversation) -> None:
        mischief = self.chance.choice(MISCHIEFS)
        conversation.past[-1] = mischief.name
        said = self.run(conversation, mischief.code)
        if self.expect(said, mischief.told):
            self.soak.note(f"mischief: {mischief.name}")

    def cancelled(self, conversation: Conversation) -> None:
        run = self.begin(conversation, WAIT.format(seconds=1.5))
        time.sleep(self.chance.uniform(0, 1.2))
        with contextlib.suppress(BadRequestError):  # it has ended
            self.client.beta.threads.runs.cancel(run.id, thread_id=conversation.id)
        self.wait(conversation)
        run = self.client.beta.threads.runs.retrieve(run.id, thread_id=conversation.id)
        if run.status == "cancelled":
            self.soak.note("(cancelled in the middle)")
        else:
            self.expect(self.outcome(conversation, run), "waited")

    def leave(self, conversation: Conversation) -> None:
        some = self.chance.randrange(1, 40)
        with self.begin(conversation, WAIT.format(seconds=0.5), stream=True) as stream:
            run = next(event.data for event in stream if event.event == "thread.run.created")
            for _ in zip(range(some), stream, strict=False):
                pass
        self.wait(conversation)
        run = self.client.beta.threads.runs.retrieve(run.id, thread_id=conversation.id)
        if run.status == "cancelled":
            self.soak.note("(cancelled as its client was gone)")
        else:
            self.expect(self.outcome(conversation, run), "waited")

    def delete(self, at: int) -> None:
        conversation = self.conversations[at]
        self.begin(conversation, WAIT.format(seconds=1.5))
        time.sleep(self.chance.uniform(0, 1.2))
        self.client.beta.threads.delete(conversation.id)
        self.conversations[at] = self.new()

    def assassinate(self, conversation: Conversation) -> None:
        run = self.begin(conversation, WAIT.format(seconds=0.5))
        time.sleep(self.chance.uniform(0, 0.8))
        server = self.soak.server.process.pid
        victims = accounts.jailed(server)
        if victims and accounts.kill_one(server, self.chance.choice(victims)):
            with self.soak.lock:
                self.soak.killed += 1
        self.wait(conversation)
        run = self.client.beta.threads.runs.retrieve(run.id, thread_id=conversation.id)
        self.expect(self.outcome(conversation, run), "waited")
