"""The composition root: settings in, application out."""

import itertools
import logging
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

from fastapi import FastAPI
from sqlmodel import Session, col, select

from understudy import __version__, clock, crud, exceptions, openapi, tables
from understudy import vector_stores as store_rows
from understudy.auth import Gate
from understudy.azure import AzurePaths
from understudy.chat_models.base import ChatModel
from understudy.chat_models.offline import OfflineModel
from understudy.chat_models.upstream import Upstream
from understudy.database import Database
from understudy.errors import NotFoundError
from understudy.file_storage import FileStorage
from understudy.ingestion import Ingestion
from understudy.retrieval_folder import RetrievalFolder
from understudy.routes import (
    assistants,
    chat_completions,
    control,
    file_batches,
    files,
    messages,
    models,
    proxy,
    run_steps,
    runs,
    threads,
    uploads,
    vector_store_files,
    vector_stores,
)
from understudy.runs.code_interpreter import CodeInterpreter
from understudy.runs.executor import RunExecutor
from understudy.runs.file_search import FileSearch
from understudy.runs.lifecycle import mend_after_crash
from understudy.services import Services
from understudy.settings import Settings
from understudy.supervisor import Supervisor
from understudy.vector_search import VectorSearch
from understudy_sandbox import Sandbox, SandboxLimits, WallOptions

log = logging.getLogger("understudy")
_SWEEP_SECONDS = 1.0
_TOMBSTONE_SECONDS = 24 * 3600


def create_app(settings: Settings) -> FastAPI:
    """The server, ready for any ASGI host."""
    chat_model: ChatModel = Upstream(settings.upstream, settings.upstream_key) if settings.upstream else OfflineModel()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None, None]:
        async with AsyncExitStack() as stack:
            app.state.services = await _open(settings, chat_model, stack)
            yield

    app = FastAPI(
        title="Understudy",
        version=__version__,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    # /threads/runs comes before /threads/{thread_id}, which would match it.
    resources = (
        *(assistants, runs, threads, messages, run_steps, files, uploads, models),
        *(vector_stores, vector_store_files, file_batches),
    )
    for resource in resources:
        app.include_router(resource.router, prefix="/v1")
    if not settings.upstream:
        app.include_router(chat_completions.router, prefix="/v1")
    # The last one: it takes whatever the others left.
    app.include_router(proxy.router, prefix="/v1")
    app.include_router(control.router)
    exceptions.install(app)
    openapi.install(app)
    app.add_middleware(AzurePaths)
    app.add_middleware(Gate, settings=settings, model_backend=chat_model.backend)
    return app


async def _open(settings: Settings, chat_model: ChatModel, stack: AsyncExitStack) -> Services:
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    database = Database(settings.database)
    stack.callback(database.close)
    database.migrate()
    storage = FileStorage(settings.data_dir)
    stack.push_async_callback(chat_model.aclose)
    sandbox = make_sandbox(settings, settings.data_dir / "sandbox")
    stack.push_async_callback(sandbox.aclose)
    supervisor = Supervisor()
    retrieval = RetrievalFolder(settings, supervisor)
    stack.push_async_callback(retrieval.aclose)
    await stack.enter_async_context(supervisor)
    ingestion = Ingestion(database, storage, retrieval, supervisor)
    vector_search = VectorSearch(database, retrieval)
    code_interpreter = CodeInterpreter(sandbox, database, storage)
    file_search = FileSearch(vector_search, ingestion, database)
    executor = RunExecutor(settings, database, supervisor, chat_model, storage, code_interpreter, file_search)
    services = Services(
        settings,
        database,
        storage,
        chat_model,
        sandbox,
        retrieval,
        ingestion,
        vector_search,
        code_interpreter,
        executor,
    )
    await _resume(services)
    ingestion.start()
    supervisor.start("sweeper", lambda: _sweep(services))
    supervisor.start("sandbox probe", lambda: _probe(sandbox))
    supervisor.start("sandbox watchdog", sandbox.watch)
    if isinstance(chat_model, Upstream):
        supervisor.start("upstream probe", partial(_probe_upstream, chat_model))
    if retrieval.hint:
        log.warning("file search: %s", retrieval.hint)
    return services


def make_sandbox(settings: Settings, root: Path) -> Sandbox:
    """The sandbox as the settings want it, its files in `root`."""
    limits = SandboxLimits(
        timeout=settings.sandbox_timeout,
        memory=settings.sandbox_memory,
        disk=settings.sandbox_disk,
        processes=settings.sandbox_processes,
        output=settings.sandbox_output,
        idle=settings.sandbox_idle,
        sessions=settings.sandbox_sessions,
        warm=settings.sandbox_warm,
    )
    options = WallOptions(settings.sandbox_image, settings.sandbox_url, settings.sandbox_token)
    return Sandbox(wall=settings.sandbox, root=root, python=settings.sandbox_python, limits=limits, options=options)


async def _resume(services: Services) -> None:
    """Mend what the last stop broke off, and go on with the runs that were queued."""
    for run_id in await services.database.write(mend_after_crash):
        services.executor.start(run_id)
    await services.storage.keep_only(await services.database.read(_contents))
    await services.sandbox.keep_only(
        await services.database.read(lambda session: session.exec(select(tables.Thread.id)).all())
    )


async def _probe(sandbox: Sandbox) -> None:
    verdict = await sandbox.probe()
    if verdict.hint:
        log.warning("code interpreter: %s", verdict.hint)
    else:
        log.info("code interpreter: walled by %s", verdict.wall)


async def _probe_upstream(upstream: Upstream) -> None:
    if hint := await upstream.probe():
        log.warning("upstream: %s", hint)


async def _sweep(services: Services) -> None:
    """Do what has fallen due: runs, files, uploads and vector stores expire, old tombstones go."""
    for tick in itertools.count():
        await clock.sleep(_SWEEP_SECONDS)
        try:
            await services.executor.expire_due()
            await _expire_files(services)
            await uploads.expire_due(services)
            await _expire_stores(services)
            if tick % _TOMBSTONE_SECONDS == 0:
                oldest = clock.now() - _TOMBSTONE_SECONDS
                await services.database.write(partial(crud.forget_tombstones, older_than=oldest))
        except Exception:
            # A full disk, a database that is away: the next tick tries again.
            log.exception("what fell due could not be done")


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
    return {content_id for table in (tables.File, tables.UploadPart) for content_id in session.exec(select(table.id))}


def _expired_files(session: Session) -> list[str]:
    due = select(tables.File.id).where(col(tables.File.expires_at) <= clock.now())
    return list(session.exec(due).all())
