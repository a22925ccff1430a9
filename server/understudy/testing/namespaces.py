"""All namespaces by API key, and the layer of the application that lets each request into its own."""

import itertools
import re
import shutil
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

from anyio import to_thread
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from understudy.script.script import Script
from understudy.services import Services
from understudy.settings import Settings
from understudy.supervisor import Supervisor
from understudy.testing.faults import answer
from understudy.testing.journal import RequestEntry, reading
from understudy.testing.namespace import Base, Namespace
from understudy.testing.world_database import WorldDatabase
from understudy_sandbox import Sandbox

CONTROL = "/_understudy"
_POLL_AFTER_MS = "20"
_RETRIEVED_RUN = re.compile(r"/v1/threads/[^/]+/runs/(run_[^/]+)")


class Namespaces:
    """One for each key that came, and one for requests without a key."""

    def __init__(self, base: Base) -> None:
        self._base = base
        self._by_key: dict[str, Namespace] = {}

    def of(self, key: str) -> Namespace:
        """A key's namespace."""
        if key not in self._by_key:
            self._by_key[key] = Namespace(self._base, {})
        return self._by_key[key]

    async def reset(self, key: str) -> None:
        """Begin a key's namespace anew, with nothing but its snapshots."""
        old = self.of(key)
        fresh = self._by_key[key] = Namespace(self._base, old.snapshots)
        # The client is told meanwhile.
        fresh.prepare()
        await old.aclose()

    async def drain(self) -> None:
        """End the runs at work: the server stops."""
        for namespace in self._by_key.values():
            await namespace.aclose()


@asynccontextmanager
async def open_namespaces(
    settings: Settings, script: Script | None, sandbox: Sandbox
) -> AsyncGenerator[Namespaces, None]:
    """Namespaces in a folder of the data folder's, which is theirs alone and does not outlive them."""
    folder = settings.data_dir / "namespaces"
    await to_thread.run_sync(shutil.rmtree, folder, True)
    folder.mkdir(parents=True, mode=0o700)
    template, spare = WorldDatabase(), list[WorldDatabase]()
    await to_thread.run_sync(template.migrate)
    try:
        async with Supervisor() as supervisor:
            yield Namespaces(Base(settings, script, sandbox, supervisor, template, _names(folder), spare))
    finally:
        for database in (template, *spare):
            database.close()
        shutil.rmtree(folder, ignore_errors=True)


def _names(folder: Path) -> Iterator[Path]:
    return (folder / str(number) for number in itertools.count(1))


class Worlds:
    """Gives each request the services of its key's namespace. Pure ASGI."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        namespaces: Namespaces = scope["app"].state.namespaces
        namespace = namespaces.of(scope["understudy.key"] or "")
        if scope["path"].startswith(CONTROL):
            scope["understudy.namespace"] = namespace
            await self._app(scope, receive, send)
            return
        async with namespace.entered() as services:
            scope["understudy.services"] = services
            await self._answer(namespace, services, scope, receive, send)

    async def _answer(
        self, namespace: Namespace, services: Services, scope: Scope, receive: Receive, send: Send
    ) -> None:
        method, path = scope["method"], scope["path"]
        entry = namespace.journal.note(scope)
        receive, send = reading(entry, receive), _noting(entry, send)
        if (fault := namespace.faults.for_request(method, path)) is not None:
            entry.fault = fault.model_dump(exclude_defaults=True)
            await answer(fault, self._app, scope, receive, send)
            return
        if method == "GET" and (found := _RETRIEVED_RUN.fullmatch(path)):
            await namespace.await_poll(services, found[1])
        await self._app(scope, receive, send)


def _noting(entry: RequestEntry, send: Send) -> Send:
    async def send_start(message: Message) -> None:
        if message["type"] == "http.response.start":
            entry.status = message["status"]
            headers = MutableHeaders(scope=message)
            if "openai-poll-after-ms" in headers:
                headers["openai-poll-after-ms"] = _POLL_AFTER_MS
        await send(message)

    return send_start
