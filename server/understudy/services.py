"""What the routes work with, made by house.py."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from starlette.types import Scope

from understudy.cassettes.deck import Deck
from understudy.chat_models.base import ChatModel
from understudy.chat_models.upstream import Upstream
from understudy.database import Database
from understudy.file_storage import FileStorage
from understudy.ingestion import Ingestion
from understudy.model_choice import Models
from understudy.retrieval_folder import RetrievalFolder
from understudy.runs.code_interpreter import CodeInterpreter
from understudy.runs.executor import RunExecutor
from understudy.settings import Settings
from understudy.vector_search import VectorSearch
from understudy_sandbox import Sandbox


@dataclass(frozen=True, slots=True)
class Services:
    """The parts of a running server."""

    settings: Settings
    database: Database
    storage: FileStorage
    models: Models
    sandbox: Sandbox
    retrieval: RetrievalFolder
    ingestion: Ingestion
    vector_search: VectorSearch
    code_interpreter: CodeInterpreter
    executor: RunExecutor

    @property
    def chat_model(self) -> ChatModel:
        """It answers runs."""
        return self.models.chat_model

    @property
    def upstream(self) -> Upstream | None:
        """What is proxied goes there."""
        return self.models.upstream

    @property
    def deck(self) -> Deck | None:
        """Where cassettes replace the upstream."""
        return self.models.deck


def services_of(scope: Scope) -> Services:
    """Those that a request is for: its key's own in test mode, else the server's."""
    services: Services = scope.get("understudy.services") or scope["app"].state.services
    return services


# Asynchronous, though they await nothing: FastAPI runs others in a worker thread, a hop for each request.
async def _services(request: Request) -> Services:
    return services_of(request.scope)


async def _caller_key(request: Request) -> str | None:
    key: str | None = request.scope["understudy.key"]
    return key


House = Annotated[Services, Depends(_services)]
CallerKey = Annotated[str | None, Depends(_caller_key)]
