"""Contents of files and of parts on disk: written beside their place, moved there whole, named by id alone."""

import hashlib
import os
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from anyio import to_thread

MAX_BYTES = 512 * 1024 * 1024
_BLOCK = 1024 * 1024


class FileStorage:
    """A folder of contents, and one of those still arriving, which the next start empties."""

    def __init__(self, root: Path) -> None:
        self._contents = root / "files"
        self._incoming = root / "incoming"
        self._contents.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._incoming.mkdir(exist_ok=True, mode=0o700)
        for leftover in self._incoming.iterdir():
            leftover.unlink()

    def path(self, content_id: str) -> Path:
        """Where the content of a file or a part lies."""
        if not re.fullmatch(r"[A-Za-z0-9_-]+", content_id):
            raise ValueError(f"not an id of a file or a part: {content_id!r}")
        return self._contents / content_id

    @asynccontextmanager
    async def arriving(self) -> AsyncIterator[BinaryIO]:
        """A file to write a content into; gone when the block ends, unless `keep` gave it its place."""
        path = self._incoming / uuid4().hex
        stream = await to_thread.run_sync(path.open, "xb")
        try:
            with stream:
                yield stream
        finally:
            path.unlink(missing_ok=True)

    def keep(self, stream: BinaryIO, content_id: str) -> None:
        """Give what arrived its place. Called as the last deed of the transaction that adds its row.

        Only then is it sure that the id is free; should the commit fail, the next start finds a content without a row.
        """
        stream.close()
        os.replace(stream.name, self.path(content_id))

    @asynccontextmanager
    async def incoming(self, file_id: str) -> AsyncIterator[BinaryIO]:
        """A file to write the content of `file_id`, a fresh id, into; kept only if the block ends without an error."""
        async with self.arriving() as stream:
            yield stream
            self.keep(stream, file_id)

    async def join(self, content_ids: Sequence[str], target: BinaryIO) -> str:
        """Write contents to `target`, one after the other; the md5 of the whole. Raises FileNotFoundError."""

        def copy() -> str:
            md5 = hashlib.md5(usedforsecurity=False)
            for content_id in content_ids:
                with self.path(content_id).open("rb") as source:
                    while block := source.read(_BLOCK):
                        md5.update(block)
                        target.write(block)
            return md5.hexdigest()

        return await to_thread.run_sync(copy)

    async def delete(self, *content_ids: str) -> None:
        """Remove contents; one that is not there is no error."""

        def unlink() -> None:
            for content_id in content_ids:
                self.path(content_id).unlink(missing_ok=True)

        await to_thread.run_sync(unlink)

    async def keep_only(self, content_ids: set[str]) -> None:
        """Remove the contents that no row names: a crash may have come between the two."""

        def sweep() -> None:
            for content in self._contents.iterdir():
                if content.name not in content_ids:
                    content.unlink()

        await to_thread.run_sync(sweep)
