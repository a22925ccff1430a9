"""What the routes work with, made once by app.py."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from understudy.cassettes.deck import Deck
from understudy.chat_models.base import ChatModel
from understudy.database import Database
from understudy.file_storage import FileStorage
from understudy.ingestion import Ingestion
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
    chat_model: ChatModel
    sandbox: Sandbox
    retrieval: RetrievalFolder
    ingestion: Ingestion
    vector_search: VectorSearch
    code_interpreter: CodeInterpreter
    executor: RunExecutor
    deck: Deck | None = None
    """Where cassettes replace the upstream."""


# Asynchronous, though they await nothing: FastAPI runs others in a worker thread, a hop for each request.
async def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


async def _caller_key(request: Request) -> str | None:
    key: str | None = request.scope["understudy.key"]
    return key


House = Annotated[Services, Depends(_services)]
CallerKey = Annotated[str | None, Depends(_caller_key)]
