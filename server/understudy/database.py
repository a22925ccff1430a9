"""The database: SQLite in WAL mode, or PostgreSQL by URL. One unit of work is one function in one transaction."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import anyio.to_thread
import orjson
from anyio import CapacityLimiter
from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session

T = TypeVar("T")

SCHEMA_VERSION = "0004"
"""The newest migration under migrations/versions."""


class NewerSchemaError(Exception):
    """The database was written by a newer Understudy."""


class Database:
    """Engines and the threads that use them.

    SQLite has one writer, whose transactions begin as `BEGIN IMMEDIATE`, and readers on connections of their own, which
    see the last commit and never wait for the writer.
    """

    def __init__(self, url: str) -> None:
        self.url = make_url(url)
        if self.url.drivername == "postgresql":
            self.url = self.url.set(drivername="postgresql+psycopg")
        sqlite = self.url.get_backend_name() == "sqlite"
        self._reader = self._engine("BEGIN" if sqlite else None)
        self._writer = self._engine("BEGIN IMMEDIATE") if sqlite else self._reader
        self._write_limiter = CapacityLimiter(1 if sqlite else 8)
        self._read_limiter = CapacityLimiter(4 if sqlite else 8)

    def _engine(self, begin: str | None, **options: Any) -> Engine:
        engine = create_engine(
            self.url,
            json_serializer=lambda value: orjson.dumps(value).decode(),
            json_deserializer=orjson.loads,
            **({"pool_pre_ping": True} if begin is None else {}),
            **options,
        )
        if begin is not None:
            event.listen(engine, "connect", _configure_sqlite)
            event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(begin))
        return engine

    async def read(self, work: Callable[[Session], T]) -> T:
        """Run `work` in a read transaction, in a worker thread."""
        return await anyio.to_thread.run_sync(self._read, work, limiter=self._read_limiter)

    async def write(self, work: Callable[[Session], T]) -> T:
        """Run `work` in a write transaction, in a worker thread; commit unless it raises."""
        return await anyio.to_thread.run_sync(self._write, work, limiter=self._write_limiter)

    def _read(self, work: Callable[[Session], T]) -> T:
        with Session(self._reader, expire_on_commit=False, autoflush=False) as session:
            return work(session)

    def _write(self, work: Callable[[Session], T]) -> T:
        with Session(self._writer, expire_on_commit=False) as session, session.begin():
            return work(session)

    def check(self) -> None:
        """Connect. Raises SQLAlchemyError."""
        with self._reader.connect():
            pass

    def migrate(self) -> None:
        """Bring the schema to SCHEMA_VERSION, all of it or nothing.

        Raises NewerSchemaError where the database is ahead of this version.
        """
        if self.url.get_backend_name() == "sqlite" and self.url.database and not Path(self.url.database).exists():
            # Prompts are nobody else's business. SQLite gives the files that it keeps beside it the same permissions.
            Path(self.url.database).touch(mode=0o600)
        with self._writer.begin() as connection:
            version = _version(connection)
            if version == SCHEMA_VERSION:
                return
            if version is not None and version > SCHEMA_VERSION:
                raise NewerSchemaError(
                    f"the database has schema version {version}, this Understudy knows {SCHEMA_VERSION}: "
                    "install the newer Understudy that wrote it, or name another --data-dir"
                )
            if version is None:
                _create(connection)
            else:
                _upgrade(connection)

    def close(self) -> None:
        """Give back all connections."""
        self._reader.dispose()
        self._writer.dispose()


def _configure_sqlite(connection: Any, _record: object) -> None:
    # None: sqlite3 opens no transactions of its own, SQLAlchemy's `begin` event does.
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "busy_timeout=10000"):
        connection.execute(f"PRAGMA {pragma}")


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _create(connection: Connection) -> None:
    """An empty database gets today's tables at once: alembic, 9 MB of it, stays out of the first start too."""
    from understudy import tables

    tables.Base.metadata.create_all(connection)
    connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"))
    connection.execute(text("INSERT INTO alembic_version VALUES (:version)"), {"version": SCHEMA_VERSION})


def _upgrade(connection: Connection) -> None:
    # Imported here: a start with nothing to migrate, the usual one, does not wait for alembic.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", os.fspath(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
