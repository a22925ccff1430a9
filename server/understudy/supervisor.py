"""Background work: every task has a name and one owner, and ends with the server."""

import logging
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

import anyio
from anyio import CancelScope, Event

log = logging.getLogger("understudy")


class Task:
    """A piece of background work."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.scope = CancelScope()
        self._ended = Event()

    async def wait(self) -> None:
        """Wait until the work has ended."""
        await self._ended.wait()

    async def cancel(self) -> None:
        """End the work and wait until it has ended."""
        self.scope.cancel()
        await self.wait()


class Supervisor:
    """The root task group. A crash of one task is logged and ends that one alone."""

    def __init__(self) -> None:
        self._group = anyio.create_task_group()
        self._tasks: dict[str, Task] = {}

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        self._group.cancel_scope.cancel()
        return await self._group.__aexit__(kind, error, trace)

    def start(self, name: str, work: Callable[[], Awaitable[None]]) -> Task:
        """Start `work` under a name that no running task has."""
        if name in self._tasks:
            raise RuntimeError(f"task {name} is running")
        task = self._tasks[name] = Task(name)
        self._group.start_soon(self._run, task, work, name=name)
        return task

    async def _run(self, task: Task, work: Callable[[], Awaitable[None]]) -> None:
        try:
            with task.scope:
                await work()
        except Exception:
            log.exception("%s crashed", task.name)
        finally:
            del self._tasks[task.name]
            task._ended.set()
