"""One call on a kernel: from the request to the last of its output, or to the limit that ends it."""

import time
from typing import Any

import anyio

from .channels import Message, ProtocolError
from .excess import KILLED, Excess, told
from .files import SessionFiles
from .kernel import Kernel, is_idle
from .limits import MIB, SandboxLimits
from .outputs import Status
from .transcript import Transcript

_TICK = 0.05
_LAST_OUTPUT = 1.0
_LAST_GASPS = 50

_KEPT = "The files in /mnt/data were kept."
_DIED = f"The interpreter ended during this call: variables and imports are gone. {_KEPT}"
_BROKEN = f"The interpreter sent something unreadable and was ended: variables and imports are gone. {_KEPT}"
_LEFT = f"The code ended the interpreter: variables and imports are gone. {_KEPT}"
_KILLED = f"It did not stop and was killed: variables and imports are gone. {_KEPT}"
_STOPPED = "It was interrupted; variables were kept."


class Call:
    """One request and the state of its answer."""

    def __init__(self, kernel: Kernel, transcript: Transcript, limits: SandboxLimits) -> None:
        self._kernel = kernel
        self._channels = kernel.channels
        self._transcript = transcript
        self._limits = limits
        self._request = ""
        self._interrupt: str | None = None
        self._reply: dict[str, Any] | None = None
        self._heard_at = 0.0
        self._silent = False
        self._idle = False
        self.kernel_lost = False
        """Whether the kernel is dead, or must not be used again."""
        self.excess: Excess | None = None
        """The limit that the files are beyond, where only the kernel has them."""

    async def run(self, code: str, files: SessionFiles) -> Status:
        """Run the code on the session's files, to its end or to a limit."""
        try:
            if courier := self._kernel.courier:
                await courier.send(files)
            self._request = self._channels.execute(code)
            status = await self._until_done()
            if courier and not self.kernel_lost:
                self.excess = await courier.receive(files)
        except ProtocolError:
            status = self._lose("died" if await self._ends_soon() else "protocol_error")
        await self._transcript.flush()
        return status

    async def settle(self, seconds: float) -> bool:
        """Interrupt and wait for the kernel to yield; whether it did."""
        if self._done():
            return True
        try:
            return await self._interrupt_for(seconds, quiet=True)
        except ProtocolError:
            return False

    async def _until_done(self) -> Status:
        ended = await self._finish(time.monotonic() + self._limits.timeout)
        if ended == "died":
            return self._lose("died")
        if ended == "done":
            return self._lose("died") if self._kernel.struck else self._verdict()
        status: Status = "timeout" if ended == "late" else "output_limit"
        yielded = await self._interrupt_for(self._limits.grace, quiet=ended == "flooded")
        if self._kernel.struck:
            return self._lose("died")
        if status == "output_limit":
            # Without word that it is idle, which comes last, more is on its way, and would flood the next call.
            yielded = yielded and self._idle
        self.kernel_lost = not yielded
        self._transcript.notes.append(f"{self._reason(status)} {_STOPPED if yielded else _KILLED}")
        return status

    async def _interrupt_for(self, seconds: float, *, quiet: bool) -> bool:
        self._interrupt = self._channels.interrupt()
        return await self._finish(time.monotonic() + seconds, quiet=quiet) == "done"

    async def _ends_soon(self) -> bool:
        """Whether the wire broke because the process is ending: its sockets close a little before it is gone."""
        for _ in range(_LAST_GASPS):
            if not self._kernel.running:
                return True
            await anyio.sleep(_TICK / 5)
        return False

    async def _finish(self, deadline: float, *, quiet: bool = False) -> str:
        """Take in messages until the call is `done`, or the kernel `died`, or it is `late` or `flooded`."""
        while not self._done():
            if not quiet and self._transcript.received > self._limits.received:
                return "flooded"
            now = time.monotonic()
            if now >= deadline:
                return "late"
            due = self._transcript.due_in
            await self._channels.wait(min(_TICK, deadline - now, _TICK if due is None else due))
            messages = self._channels.receive()
            if not messages and not self._kernel.running:
                return "died"
            for message in messages:
                await self._take(message, quiet)
            self._note_silence(messages)
            if self._transcript.due_in == 0.0 and not quiet:
                await self._transcript.flush()
        return "done"

    def _note_silence(self, messages: list[Message]) -> None:
        now = time.monotonic()
        self._heard_at = now if messages else self._heard_at
        self._silent = now - self._heard_at > _LAST_OUTPUT

    def _done(self) -> bool:
        if self._reply is None:
            return False
        # An interrupt that is still on its way would hit the next call. The message that the kernel is idle may come
        # long after the reply, behind what a process left running prints; should it be lost, silence has to do.
        return self._silent or (self._idle and self._interrupt is None)

    async def _take(self, message: Message, quiet: bool) -> None:
        if message.channel == "control":
            self._interrupt = None if message.parent == self._interrupt else self._interrupt
        elif message.parent != self._request:
            # What a thread of an earlier call prints is nobody's output, but it counts.
            self._transcript.received += message.size
        elif message.channel == "shell" and message.kind == "execute_reply":
            self._reply = message.content
        elif is_idle(message):
            self._idle = True
        elif message.channel == "iopub" and not quiet:
            await self._transcript.add(message.kind, message.content, message.size)

    def _verdict(self) -> Status:
        reply = self._reply or {}
        payloads = reply.get("payload")
        if isinstance(payloads, list) and any(p == {"source": "ask_exit", "keepkernel": False} for p in payloads):
            self.kernel_lost = True
            self._transcript.notes.append(_LEFT)
        if self._transcript.received > self._limits.received:
            # The last of the flood came together with its end.
            self._transcript.notes.append(self._reason("output_limit"))
            return "output_limit"
        return "ok" if reply.get("status") == "ok" else "error"

    def _lose(self, status: Status) -> Status:
        self.kernel_lost = True
        if self._kernel.struck is not None:
            self._transcript.notes.append(told(self._kernel.struck, self._limits))
            return KILLED[self._kernel.struck]
        self._transcript.notes.append(_DIED if status == "died" else _BROKEN)
        return status

    def _reason(self, status: Status) -> str:
        if status == "timeout":
            return f"The call took longer than {self._limits.timeout:g} seconds."
        return f"The call sent more than {self._limits.received / MIB:g} MiB of output."
