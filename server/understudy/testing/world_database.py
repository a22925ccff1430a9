"""The database of a world: SQLite in memory, for one client who waits for each answer."""

import sqlite3
from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import Engine, StaticPool
from sqlalchemy.orm import Session

from understudy.database import Database

T = TypeVar("T")


class WorldDatabase(Database):
    """On one connection: no world outlives its server, and work in the event loop never overlaps.

    Once its world has ended it serves another: what costs most of its first uses is to compile the statements.
    """

    def __init__(self) -> None:
        self._connection = sqlite3.connect(":memory:", check_same_thread=False)
        super().__init__("sqlite://")

    def load(self, other: "WorldDatabase") -> None:
        """Hold what the other one holds, and nothing else."""
        other._connection.backup(self._connection)

    def close(self) -> None:
        """Give back the connection, and with it all that it holds."""
        super().close()
        self._connection.close()

    async def read(self, work: Callable[[Session], T]) -> T:
        """Run `work` in a read transaction, in the event loop: the way to a thread and back costs as much again."""
        return self._read(work)

    async def write(self, work: Callable[[Session], T]) -> T:
        """Run `work` in a write transaction, in the event loop."""
        return self._write(work)

    def _engine(self, begin: str | None, **options: Any) -> Engine:
        return super()._engine(begin, creator=lambda: self._connection, poolclass=StaticPool, **options)
