"""Contents of files on disk: written beside their place, moved there whole, named by id alone."""

import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import BinaryIO

from anyio import to_thread

MAX_BYTES = 512 * 1024 * 1024


class FileStorage:
    """A folder of contents, and one of those still arriving, which the next start empties."""

    def __init__(self, root: Path) -> None:
        self._contents = root / "files"
        self._incoming = root / "incoming"
        self._contents.mkdir(parents=True, exist_ok=True)
        self._incoming.mkdir(exist_ok=True)
        for leftover in self._incoming.iterdir():
            leftover.unlink()

    def path(self, file_id: str) -> Path:
        """Where the content of a file lies."""
        if not re.fullmatch(r"[A-Za-z0-9_-]+", file_id):
            raise ValueError(f"not a file id: {file_id!r}")
        return self._contents / file_id

    @asynccontextmanager
    async def incoming(self, file_id: str) -> AsyncIterator[BinaryIO]:
        """A file to write the content of `file_id` into; kept only if the block ends without an error."""
        arriving = self._incoming / self.path(file_id).name
        stream = await to_thread.run_sync(arriving.open, "xb")
        try:
            with stream:
                yield stream
            os.replace(arriving, self.path(file_id))
        finally:
            arriving.unlink(missing_ok=True)

    async def delete(self, file_id: str) -> None:
        """Remove a content; one that is not there is no error."""
        await to_thread.run_sync(lambda: self.path(file_id).unlink(missing_ok=True))

    async def keep_only(self, file_ids: set[str]) -> None:
        """Remove the contents that no row names: a crash may have come between the two."""

        def sweep() -> None:
            for content in self._contents.iterdir():
                if content.name not in file_ids:
                    content.unlink()

        await to_thread.run_sync(sweep)
