"""The composition root: settings in, application out."""

import logging
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

from fastapi import FastAPI

from understudy import __version__, exceptions, openapi
from understudy.auth import Gate
from understudy.azure import AzurePaths
from understudy.chat_models.upstream import Upstream
from understudy.house import open_house
from understudy.model_choice import Models, choose_models, read_script
from understudy.retrieval_folder import hint
from understudy.routes import (
    assistants,
    chat_completions,
    control,
    file_batches,
    files,
    messages,
    proxy,
    run_steps,
    runs,
    threads,
    uploads,
    vector_store_files,
    vector_stores,
)
from understudy.routes import models as model_routes
from understudy.services import Services
from understudy.settings import Settings
from understudy.supervisor import Supervisor
from understudy_sandbox import Sandbox, SandboxLimits, WallOptions

_DRAIN_SECONDS = 2.0
log = logging.getLogger("understudy")


def create_app(settings: Settings) -> FastAPI:
    """The server, ready for any ASGI host. Raises UsageError."""
    script = read_script(settings.script)
    models = choose_models(settings, script)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None, None]:
        if embedder_hint := hint(settings):
            log.warning("file search: %s", embedder_hint)
        async with _lay(settings, models) as sandbox:
            if settings.test_api:
                from understudy.testing.namespaces import open_namespaces

                async with open_namespaces(settings, script, sandbox) as namespaces:
                    app.state.namespaces = namespaces
                    app.state.drain = namespaces.drain
                    yield
            else:
                async with open_house(settings, models, sandbox) as services:
                    app.state.services = services
                    app.state.drain = partial(_drain, services)
                    yield

    app = FastAPI(
        title="Understudy",
        version=__version__,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        # FastAPI's own would look at the environment at each request, and tell others what is done here.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    # /threads/runs comes before /threads/{thread_id}, which would match it; the proxy takes whatever the others left.
    resources = (
        *(assistants, runs, threads, messages, run_steps, files, uploads, model_routes),
        *(vector_stores, vector_store_files, file_batches, chat_completions, proxy, control),
    )
    for resource in resources:
        # Not include_router, whose routers within routers double the search for a route.
        app.router.routes += resource.router.routes
    if settings.test_api:
        from understudy.testing import namespaces, routes

        app.router.routes += routes.router.routes
        app.add_middleware(namespaces.Worlds)
    exceptions.install(app)
    openapi.install(app)
    app.add_middleware(AzurePaths)
    app.add_middleware(Gate, settings=settings, model_backend=models.chat_model.backend)
    return app


@asynccontextmanager
async def _lay(settings: Settings, models: Models) -> AsyncGenerator[Sandbox, None]:
    """What houses stand on: it is there before them and after them."""
    async with AsyncExitStack() as stack:
        stack.push_async_callback(models.aclose)
        sandbox = make_sandbox(settings, settings.data_dir / "sandbox")
        stack.push_async_callback(sandbox.aclose)
        supervisor = await stack.enter_async_context(Supervisor())
        supervisor.start("sandbox probe", lambda: _probe(sandbox))
        supervisor.start("sandbox watchdog", sandbox.watch)
        if models.upstream is not None and models.deck is None:
            supervisor.start("upstream probe", partial(_probe_upstream, models.upstream))
        yield sandbox


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


async def _drain(services: Services) -> None:
    if services.deck is not None:
        # A run that the stop breaks off is not recorded as one that its client left.
        services.deck.closing = True
    await services.executor.drain(_DRAIN_SECONDS)


async def _probe(sandbox: Sandbox) -> None:
    verdict = await sandbox.probe()
    if verdict.hint:
        log.warning("code interpreter: %s", verdict.hint)
    else:
        log.info("code interpreter: walled by %s", verdict.wall)


async def _probe_upstream(upstream: Upstream) -> None:
    if hint := await upstream.probe():
        log.warning("upstream: %s", hint)
