"""A house: the services over one data folder, opened, kept in order and closed together."""

import itertools
import logging
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import anyio
from sqlalchemy import select
from sqlalchemy.orm import Session

from understudy import clock, crud, tables
from understudy import vector_stores as store_rows
from understudy.database import Database
from understudy.errors import NotFoundError
from understudy.file_storage import FileStorage
from understudy.ingestion import Ingestion
from understudy.model_choice import Models
from understudy.retrieval_folder import RetrievalFolder
from understudy.routes import files, uploads
from understudy.runs.code_interpreter import CodeInterpreter
from understudy.runs.executor import RunExecutor
from understudy.runs.file_search import FileSearch
from understudy.runs.lifecycle import mend_after_crash
from understudy.services import Services
from understudy.settings import Settings
from understudy.supervisor import Supervisor
from understudy.vector_search import VectorSearch
from understudy_sandbox import Sandbox

log = logging.getLogger("understudy")
_SWEEP_SECONDS = 1.0
_TOMBSTONE_SECONDS = 24 * 3600


@asynccontextmanager
async def open_house(
    settings: Settings,
    models: Models,
    sandbox: Sandbox,
    realm: str = "",
    database: Database | None = None,
    *,
    new: bool = False,
) -> AsyncGenerator[Services, None]:
    """The services over the settings' data folder; `realm` tells its threads from those of other houses.

    Models and sandbox are there before it and after it, and so is a `database` that is not the settings'. In a `new`
    house nothing is left of an earlier life.
    """
    async with AsyncExitStack() as stack:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        if database is None:
            database = Database(settings.database)
            stack.callback(database.close)
            database.migrate()
        storage = FileStorage(settings.data_dir)
        supervisor = Supervisor()
        retrieval = RetrievalFolder(settings, supervisor, models.deck)
        stack.push_async_callback(retrieval.aclose)
        await stack.enter_async_context(supervisor)
        ingestion = Ingestion(database, storage, retrieval, supervisor)
        vector_search = VectorSearch(database, retrieval)
        code_interpreter = CodeInterpreter(sandbox, database, storage, realm)
        file_search = FileSearch(vector_search, ingestion, database)
        executor = RunExecutor(
            settings, database, supervisor, models.chat_model, storage, code_interpreter, file_search
        )
        services = Services(
            settings=settings,
            database=database,
            storage=storage,
            models=models,
            sandbox=sandbox,
            retrieval=retrieval,
            ingestion=ingestion,
            vector_search=vector_search,
            code_interpreter=code_interpreter,
            executor=executor,
        )
        if not new:
            await _resume(services, realm)
        ingestion.start(new=new)
        supervisor.start("sweeper", lambda: _keep_sweeping(services))
        yield services


async def _resume(services: Services, realm: str) -> None:
    """Mend what the last stop broke off, and go on with the runs that were queued."""
    for run_id in await services.database.write(mend_after_crash):
        services.executor.start(run_id)
    await services.storage.keep_only(await services.database.read(_contents))
    if not realm:
        # Else the sandbox has other houses' threads too.
        threads = await services.database.read(lambda session: session.scalars(select(tables.Thread.id)).all())
        await services.sandbox.keep_only(threads)


async def _keep_sweeping(services: Services) -> None:
    for tick in itertools.count():
        await anyio.sleep(_SWEEP_SECONDS)
        try:
            await sweep(services)
            if tick % _TOMBSTONE_SECONDS == 0:
                oldest = clock.now() - _TOMBSTONE_SECONDS
                await services.database.write(partial(crud.forget_tombstones, older_than=oldest))
        except Exception:
            # A full disk, a database that is away: the next tick tries again.
            log.exception("what fell due could not be done")


async def sweep(services: Services) -> None:
    """Do what has fallen due: runs, files, uploads and vector stores expire."""
    await services.executor.expire_due()
    await _expire_files(services)
    await uploads.expire_due(services)
    await _expire_stores(services)


async def _expire_files(services: Services) -> None:
    for file_id in await services.database.read(_expired_files):
        try:
            await files.remove(services, file_id)
        except NotFoundError:
            log.debug("%s was deleted when it expired", file_id)


async def _expire_stores(services: Services) -> None:
    if await services.database.read(store_rows.any_due):
        for store_id, seqs in (await services.database.write(store_rows.sweep)).items():
            await services.ingestion.forget_store(store_id, seqs)


def _contents(session: Session) -> set[str]:
    return {
        content_id for table in (tables.File, tables.UploadPart) for content_id in session.scalars(select(table.id))
    }


def _expired_files(session: Session) -> list[str]:
    due = select(tables.File.id).where(tables.File.expires_at <= clock.now())
    return list(session.scalars(due).all())
