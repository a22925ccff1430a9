"""A session: one key's files and its kernel, which is started when needed and replaced when it died."""

import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import anyio

from .excess import KILLED, told, told_deleted
from .files import SessionFiles, Snapshot
from .limits import SandboxLimits
from .outputs import ExecResult, Status
from .transcript import OnOutput, Transcript

if TYPE_CHECKING:
    from .call import Call
    from .kernel import Kernel

LOST = "The interpreter was restarted: variables and imports are gone, the files in /mnt/data were kept."

StartKernel = Callable[["KernelSession"], Awaitable["Kernel"]]


class KernelSession:
    """What a sandbox hands out for a key; calls are dealt with one after the other."""

    def __init__(
        self,
        files: SessionFiles,
        limits: SandboxLimits,
        *,
        start: StartKernel,
        on_call: Callable[[], None],
        on_end: Callable[[], None],
        kernel: "Kernel | None" = None,
    ) -> None:
        self.files = files
        self._limits = limits
        self._start = start
        self._on_call = on_call
        self._on_end = on_end
        self._lock = anyio.Lock()
        self._kernel = kernel
        self._news: dict[str, None] = {}
        """Sentences for the model that wait for a call that lives to tell them."""
        self.used_at = time.monotonic()

    @property
    def busy(self) -> bool:
        """Whether a call is being dealt with."""
        return self._lock.locked()

    @property
    def kernel(self) -> "Kernel | None":
        """Its kernel, if there is one."""
        return self._kernel

    @property
    def overdue(self) -> bool:
        """Whether its kernel is to be closed: idle for long, or old."""
        now = time.monotonic()
        aged = self._kernel is not None and now - self._kernel.started_at > self._limits.age
        return not self.busy and (aged or now - self.used_at > self._limits.idle)

    async def add_file(self, name: str, source: Path) -> None:
        """Copy a file to /mnt/data under its plain name, unless that was done before."""
        async with self._lock:
            await anyio.to_thread.run_sync(self.files.add, name, source)

    def open_file(self, name: str) -> BinaryIO:
        """Open a regular file of /mnt/data; FileNotFoundError for anything else."""
        return self.files.open(name)

    async def execute(self, code: str, on_output: OnOutput) -> ExecResult:
        """Run code; outputs are passed on as they happen and returned together at the end."""
        async with self._lock:
            self.used_at = time.monotonic()
            try:
                return await self._execute(code, on_output)
            finally:
                self.used_at = time.monotonic()

    async def _execute(self, code: str, on_output: OnOutput) -> ExecResult:
        from .call import Call

        transcript = Transcript(self._limits, on_output)
        before = await self._settle_files()
        kernel = await self._ready()
        transcript.names = kernel.names
        self._on_call()
        call = Call(kernel, transcript, self._limits)
        try:
            status = await call.run(kernel.names.translate(code), self.files)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self._abandon(call)
            raise
        return await self._conclude(call, status, transcript, before)

    async def _ready(self) -> "Kernel":
        """The kernel, perhaps a fresh one; the model is told when that lost something."""
        if self._kernel is not None and not self._kernel.running:
            if self._kernel.struck is not None:
                self._tell("Between the calls: " + told(self._kernel.struck, self._limits))
            await self._end_kernel()
        if self._kernel is None:
            if self.files.had_kernel:
                self._tell(LOST)
            self._kernel = await self._start(self)
        self.files.remember_kernel()
        return self._kernel

    def _tell(self, sentence: str) -> None:
        self._news[sentence] = None

    async def _conclude(self, call: "Call", status: Status, transcript: Transcript, before: Snapshot) -> ExecResult:
        if call.kernel_lost:
            await self._end_kernel()
        after = await self._snapshot()
        here = self.files.excess(after)
        excess = call.excess or here
        if excess is not None and status not in KILLED.values():
            # The watchdog had no time to see it; what happens must not depend on that.
            status, transcript.notes = KILLED[excess], [told(excess, self._limits)]
            await self._end_kernel()
        if status in (KILLED["disk"], KILLED["files"]):
            deleted = await anyio.to_thread.run_sync(self.files.shrink, before) if here else ()
            transcript.notes.append(told_deleted(deleted))
            after = await self._snapshot()
        transcript.notes = [*self._news, *transcript.notes]
        await transcript.close()
        self._news.clear()
        note = " ".join(transcript.notes) or None
        return ExecResult(status, transcript.outputs, note, after.changed_since(before))

    async def _settle_files(self) -> Snapshot:
        """The files before a call, brought within the limits if something filled them between the calls."""
        await anyio.to_thread.run_sync(self.files.make)
        before = await self._snapshot()
        if self.files.excess(before) is None:
            return before
        await self._end_kernel()
        deleted = await anyio.to_thread.run_sync(self.files.shrink, None)
        self._tell(f"There was more in /mnt/data than is allowed. {told_deleted(deleted)}")
        return await self._snapshot()

    async def _abandon(self, call: "Call") -> None:
        """The caller is gone: get the kernel to yield, or end it."""
        if not await call.settle(self._limits.cancel_grace):
            await self._end_kernel()

    async def _snapshot(self) -> Snapshot:
        return await anyio.to_thread.run_sync(self.files.snapshot)

    async def _end_kernel(self) -> None:
        kernel, self._kernel = self._kernel, None
        if kernel is not None:
            self._on_end()
            with anyio.CancelScope(shield=True):
                await kernel.close()

    async def close(self) -> None:
        """End the kernel, also under a running call, which then says that it died; the files stay."""
        if self._kernel is not None:
            self._kernel.end()
        async with self._lock:
            await self._end_kernel()
