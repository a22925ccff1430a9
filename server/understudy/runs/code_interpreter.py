"""The code interpreter tool: a thread's sandbox session, the files that go in and those that come out."""

import logging
import os
import shutil
from collections.abc import Callable, Collection, Iterable
from pathlib import PurePosixPath
from typing import BinaryIO

from anyio import to_thread
from sqlalchemy.orm import Session

from understudy import clock, tables
from understudy.database import Database
from understudy.file_storage import FileStorage
from understudy.ids import new_id
from understudy.schemas.base import JSON
from understudy_sandbox import Image, KernelSession, Logs, Sandbox

log = logging.getLogger("understudy")
_PNG = b"\x89PNG"
_SUFFIXES = {"image/png": ".png", "image/jpeg": ".jpg"}


class CodeInterpreter:
    """Runs code for threads. Raises SandboxUnavailable where there is no wall to run it behind."""

    def __init__(self, sandbox: Sandbox, database: Database, storage: FileStorage, realm: str = "") -> None:
        self._sandbox = sandbox
        self._realm = realm
        """Before a thread's id: other houses with threads of the same ids may share the sandbox."""
        self.threads: set[str] = set()
        """Whose code was run since the start."""
        self._database = database
        self._storage = storage

    def expect(self) -> None:
        """A run may use it soon."""
        self._sandbox.expect()

    async def run(self, thread_id: str, code: str, files: dict[str, str], on_output: Callable[[JSON], None]) -> None:
        """Run `code` with `files` (ids by name) in /mnt/data; `on_output` gets each output as it happens."""
        session = await self._sandbox.session(self._realm + thread_id)
        self.threads.add(thread_id)
        for name, file_id in files.items():
            try:
                await session.add_file(name, self._storage.path(file_id))
            except (FileNotFoundError, IsADirectoryError) as error:
                # Deleted while the model thought, or the code made a folder of that name: the code will see.
                log.info("%s: %s is not copied: %s", thread_id, file_id, error)

        async def take(output: Logs | Image) -> None:
            if isinstance(output, Logs):
                on_output({"type": "logs", "logs": output.text})
            else:
                on_output({"type": "image", "image": {"file_id": await self._keep_image(output)}})

        await session.execute(code, take)

    async def show(self, outputs: Iterable[str | bytes], on_output: Callable[[JSON], None]) -> None:
        """Hand on outputs that no code made, texts as logs and PNG or JPEG images as files."""
        for output in outputs:
            if isinstance(output, str):
                on_output({"type": "logs", "logs": output})
                continue
            image = Image(output, "image/png" if output.startswith(_PNG) else "image/jpeg")
            on_output({"type": "image", "image": {"file_id": await self._keep_image(image)}})

    async def keep_file(self, thread_id: str, name: str, max_bytes: int) -> tables.File | None:
        """Copy a file that the code left in /mnt/data; None where there is none of that name and size."""
        session: KernelSession = await self._sandbox.session(self._realm + thread_id)
        try:
            source = await to_thread.run_sync(session.open_file, name)
        except (OSError, ValueError):
            return None
        with source:
            if os.fstat(source.fileno()).st_size > max_bytes:
                return None
            return await self._keep(PurePosixPath(name).name, source)

    async def forget(self, thread_id: str) -> None:
        """The thread is gone: so are its kernel and its files."""
        await self._sandbox.discard(self._realm + thread_id)

    async def lend_files(self, realm: str) -> None:
        """Copy the files of all threads to another realm."""
        for thread_id in self.threads:
            await self._sandbox.copy_files(self._realm + thread_id, realm + thread_id)

    async def borrow_files(self, realm: str, threads: Collection[str]) -> None:
        """Copy the files of these threads from another realm."""
        for thread_id in threads:
            await self._sandbox.copy_files(realm + thread_id, self._realm + thread_id)
        self.threads.update(threads)

    async def forget_all(self) -> None:
        """All threads are gone."""
        for thread_id in self.threads:
            await self.forget(thread_id)

    async def _keep_image(self, image: Image) -> str:
        file_id = new_id("file")
        async with self._storage.incoming(file_id) as stream:
            await to_thread.run_sync(stream.write, image.content)
        row = await self._add_row(file_id, file_id + _SUFFIXES[image.media_type], len(image.content))
        return row.id

    async def _keep(self, filename: str, source: BinaryIO) -> tables.File:
        file_id = new_id("file")
        async with self._storage.incoming(file_id) as stream:
            await to_thread.run_sync(shutil.copyfileobj, source, stream)
            size = stream.tell()
        return await self._add_row(file_id, filename, size)

    async def _add_row(self, file_id: str, filename: str, size: int) -> tables.File:
        row = tables.File(
            id=file_id, created_at=clock.now(), purpose="assistants_output", filename=filename, bytes=size
        )

        def insert(session: Session) -> None:
            session.add(row)

        await self._database.write(insert)
        return row
