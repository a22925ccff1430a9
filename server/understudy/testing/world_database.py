"""The database of a world: SQLite for a client who waits for each answer, in a file that no other world has."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Engine, event
from sqlmodel import Session

from understudy.database import Database
from understudy.testing.snapshots import DATABASE

T = TypeVar("T")


class WorldDatabase(Database):
    """Once its world has ended it serves another: what costs most of its first uses is to compile the statements."""

    def __init__(self) -> None:
        super().__init__(f"sqlite:///{DATABASE}")

    def move(self, folder: Path) -> None:
        """Go on with the database in another folder."""
        self.close()
        self.url = self.url.set(database=str(folder / DATABASE))

    async def read(self, work: Callable[[Session], T]) -> T:
        """Run `work` in a read transaction, in the event loop: the way to a thread and back costs as much again."""
        return self._read(work)

    async def write(self, work: Callable[[Session], T]) -> T:
        """Run `work` in a write transaction, in the event loop."""
        return self._write(work)

    def _engine(self, begin: str | None) -> Engine:
        engine = super()._engine(begin)
        event.listen(engine, "do_connect", self._lead)
        return engine

    def _lead(self, _dialect: object, _record: object, arguments: list[Any], _options: dict[str, Any]) -> None:
        arguments[0] = self.url.database
