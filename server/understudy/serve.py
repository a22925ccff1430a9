"""`understudy serve`: take the port and the data folder, then hand over to uvicorn."""

import contextlib
import gc
import ipaddress
import logging
import os
import re
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

import uvicorn
from sqlalchemy.exc import SQLAlchemyError

from understudy import __version__
from understudy.configuration import unknown_variables
from understudy.database import Database, NewerSchemaError
from understudy.file_lock import lock
from understudy.settings import Settings, StartError, UsageError

if TYPE_CHECKING:
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

log = logging.getLogger("understudy")
_GRACE_SECONDS = 3
_DOES = {
    "none": "its answers are replayed, the upstream is not asked",
    "once": "recorded from the upstream where there is none yet, else replayed",
    "new": "its answers are replayed, others are recorded from the upstream",
    "all": "recorded anew from the upstream",
}
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class _OneLine(logging.Formatter):
    """One entry, one line: a line break in what a client or an upstream said must not look like another entry."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        """The entry without its traceback."""
        return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", super().formatMessage(record))


class Companion(Protocol):
    """What goes on beside a server."""

    def begin(self, root: str, stop: Callable[[], None]) -> None:
        """Requests are taken at this URL; `stop`, which any thread may call, ends the server."""


def serve(settings: Settings, companion: Companion | None = None, listener_fd: int | None = None) -> None:
    """Serve until a signal, or the companion, ends it. Raises UsageError and StartError.

    `listener_fd` is a socket that listens already, in the place of the settings' host and port.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_OneLine("%(asctime)s %(levelname)s %(message)s"))
    # What an entry does not show need not be looked up for each.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler])
    for library in ("alembic", "httpx", "uvicorn"):
        logging.getLogger(library).setLevel(logging.WARNING)
    for name in unknown_variables(os.environ):
        log.warning("%s is no setting: see docs/settings.md", name)
    gc.disable()  # until the server listens: everything that the start makes is kept
    with _lock(settings.data_dir), _listener(settings, listener_fd) as listener:
        _check_retrieval(settings.data_dir / "retrieval")
        settings = replace(settings, port=listener.getsockname()[1])
        _check_upstream(settings)
        if not settings.test_api:
            _migrate(settings)
        _run(settings, listener, companion)


def _listener(settings: Settings, fd: int | None) -> contextlib.AbstractContextManager[socket.socket]:
    return _listen(settings) if fd is None else contextlib.closing(socket.socket(fileno=fd))


def _run(settings: Settings, listener: socket.socket, companion: Companion | None) -> None:
    # Imported here: a wrong flag or a taken port is told at once.
    from understudy.app import create_app

    app = create_app(settings)
    server = _Server(
        uvicorn.Config(
            app,
            http=_abortable() if settings.test_api else "auto",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,  # nothing here asks who the client is, or how it reached the proxy
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )
    )
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    without = "none" if settings.cassette else f"none: the {settings.stand_in} model answers (give --upstream URL)"
    model = settings.shown_upstream or without
    log.info("Understudy %s, data in %s, upstream %s", __version__, settings.data_dir, model)
    if settings.cassette:
        log.info("cassette %s: %s", settings.cassette, _DOES[settings.cassette_mode])
    server.drain = lambda: app.state.drain()
    server.address = f"http://{host}:{settings.port}"
    server.companion = companion
    for ending in (signal.SIGINT, signal.SIGTERM):
        # uvicorn raises the signal again once it has shut down in good order; that order is an exit code of 0.
        signal.signal(ending, lambda *_: None)
    server.run(sockets=[listener])
    if not server.started:
        raise StartError("the server did not start: the log above says why")


def _abortable() -> "type[HttpToolsProtocol]":
    """Connections that the application can close without an answer, as a test may ask for."""
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

    class AbortableProtocol(HttpToolsProtocol):
        def on_message_begin(self) -> None:
            super().on_message_begin()
            self.scope["extensions"] = {"understudy.abort": {"call": self.transport.abort}}

    return AbortableProtocol


class _Server(uvicorn.Server):
    """Says where it listens once it does; the first line that waits for a server can wait for."""

    address = ""
    companion: Companion | None = None
    drain: Callable[[], Awaitable[None]]

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # uvicorn cuts connections before the application hears of the end: runs end first, and their streams with them.
        log.info("stopping")
        await self.drain()
        await super().shutdown(sockets=sockets)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started:
            # What the start has made stays: no collection has to look at it again.
            gc.freeze()
            gc.enable()
            log.info("listening on %s, OPENAI_BASE_URL=%s/v1", self.address, self.address)
            if self.companion is not None:
                self.companion.begin(self.address, self._stop)

    def _stop(self) -> None:
        self.should_exit = True


@contextlib.contextmanager
def _listen(settings: Settings) -> Iterator[socket.socket]:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            yield listener
    except socket.gaierror as error:
        raise UsageError(f"--host {settings.host}: {error.strerror}") from error
    except OSError as error:
        raise StartError(
            f"cannot listen on {settings.host}:{settings.port} ({error.strerror}): choose another --port, or 0"
        ) from error


@contextlib.contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Hold the data folder: two servers on one would end each other's runs."""
    try:
        # What is in it is closed to other users, each part by itself; those of landlock's sessions pass to their own.
        folder.mkdir(parents=True, exist_ok=True, mode=0o711)
        file = (folder / "lock").open("a+")
    except OSError as error:
        raise StartError(f"cannot write to {folder} ({error.strerror}): name another --data-dir") from error
    with file:
        if not lock(file):
            raise StartError(f"another Understudy uses {folder}: stop it, or name another --data-dir")
        yield


def _check_retrieval(folder: Path) -> None:
    """Refuse a folder that a process other than a server holds. It is opened later, when it is needed."""
    if folder.exists():
        with _lock(folder):
            pass


def _migrate(settings: Settings) -> None:
    """Here as well as in the application's start, where a failure could not be told in one line."""
    try:
        database = Database(settings.database)
    except (ImportError, SQLAlchemyError) as error:
        raise StartError(f"--database-url: {error}; PostgreSQL needs: pip install 'psycopg[binary]'") from error
    try:
        database.migrate()
    except (NewerSchemaError, SQLAlchemyError) as error:
        reason = str(error.__cause__ or error).strip().splitlines()[0]
        raise StartError(f"the database {database.url.render_as_string()} cannot be opened: {reason}") from error
    finally:
        database.close()


def _check_upstream(settings: Settings) -> None:
    """Refuse an upstream that is this server, which an exported OPENAI_BASE_URL suggests."""
    if settings.upstream is None:
        return
    upstream = urlsplit(settings.upstream)
    port = upstream.port or (443 if upstream.scheme == "https" else 80)
    if port == settings.port and _is_here(upstream.hostname or "", settings):
        raise UsageError(
            f"--upstream {settings.shown_upstream} is this server itself: name the Chat Completions server behind it"
        )


def _is_here(host: str, settings: Settings) -> bool:
    if host in (settings.host, "localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == socket.gethostname()
    return address.is_loopback or address.is_unspecified
