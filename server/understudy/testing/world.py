"""A world: one house of a namespace, over a data folder that nobody else sees, from its first request to its end."""

import logging
import shutil
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import anyio
from anyio import to_thread

from understudy.services import Services

log = logging.getLogger("understudy")
_GRACE_SECONDS = 5.0

Open = Callable[[], AbstractAsyncContextManager[Services]]


class World:
    """Opened by a task of its own, since what it starts must end where it began."""

    def __init__(self, folder: Path, open_house: Open) -> None:
        self.folder = folder
        self._open_house = open_house
        self._opened = anyio.Event()
        self._closing = anyio.Event()
        self._left = anyio.Event()
        self._users = 0
        self._services: Services | None = None
        self._error: Exception | None = None

    async def keep(self) -> None:
        """Open the house, and close it when it is told to and nobody is in it."""
        try:
            async with self._open_house() as services:
                self._services = services
                self._opened.set()
                await self._closing.wait()
                await services.executor.drain(0)
                with anyio.move_on_after(_GRACE_SECONDS):
                    while self._users:
                        await self._left.wait()
                await services.code_interpreter.forget_all()
        except Exception as error:
            self._error = error
            raise
        finally:
            self._opened.set()
            with anyio.CancelScope(shield=True):
                await to_thread.run_sync(shutil.rmtree, self.folder, True)

    @property
    def deserted(self) -> bool:
        """Whether no request is in it: one that is answered late goes on with what it found there."""
        return not self._users

    def close(self) -> None:
        """End it, as soon as the requests that are in it are answered."""
        self._closing.set()

    @asynccontextmanager
    async def entered(self) -> AsyncGenerator[Services, None]:
        """Its services, which stay open as long as the block. Raises what kept it from opening."""
        self._users += 1
        try:
            await self._opened.wait()
            if self._services is None:
                raise RuntimeError("the world could not be opened") from self._error
            yield self._services
        finally:
            self._users -= 1
            self._left.set()
            self._left = anyio.Event()
