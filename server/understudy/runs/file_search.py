"""The file search tool: which stores a run searches, and what it finds there."""

from dataclasses import dataclass
from functools import partial

from sqlalchemy import select
from sqlalchemy.orm import Session

from understudy import refusals, tables
from understudy.crud import find
from understudy.database import Database
from understudy.ingestion import Ingestion
from understudy.runs.search_settings import SearchSettings
from understudy.schemas.base import JSON
from understudy.vector_search import SearchResult, VectorSearch
from understudy.vector_stores import is_expired

_INGESTION_SECONDS = 60.0  # [D]
_MOST_TOKENS = 16_000  # [D]


@dataclass(frozen=True, slots=True)
class SearchedStores:
    """Ids of the vector stores that a run searches."""

    of_assistant: tuple[str, ...] = ()
    of_thread: tuple[str, ...] = ()
    """Those of the thread, and those that createThreadAndRun gave its run."""

    def all(self) -> list[str]:
        """Each once."""
        return list(dict.fromkeys(self.of_assistant + self.of_thread))


def searched_stores(session: Session, run: tables.Run) -> SearchedStores:
    """The stores of the run, or else its assistant, and of its thread, without those that were deleted.

    Raises VectorStoreExpiredError.
    """
    assistant = find(session, tables.Assistant, run.assistant_id)
    thread = find(session, tables.Thread, run.thread_id)
    if "file_search" in run.tool_resources:
        named = SearchedStores((), (*_named(run), *_named(thread)))
    else:
        named = SearchedStores(_named(assistant), _named(thread))
    if not named.all():
        return named
    live = set()
    for store in session.scalars(select(tables.VectorStore).where(tables.VectorStore.id.in_(named.all()))):
        if is_expired(store):
            raise refusals.STORE_EXPIRED(store=store.id)
        live.add(store.id)
    return SearchedStores(*(tuple(one for one in ids if one in live) for ids in (named.of_assistant, named.of_thread)))


def _named(owner: tables.Assistant | tables.Thread | tables.Run | None) -> tuple[str, ...]:
    return tuple(owner.tool_resources.get("file_search", {}).get("vector_store_ids") or ()) if owner else ()


class FileSearch:
    """Searches for runs. Raises VectorStoreExpiredError, and RetrievalError where the search itself fails."""

    def __init__(self, vector_search: VectorSearch, ingestion: Ingestion, database: Database) -> None:
        self._vector_search = vector_search
        self._ingestion = ingestion
        self._database = database

    async def wait(self, stores: SearchedStores) -> None:
        """Give the files of the thread's stores time to become searchable; the assistant's do not count [D]."""
        if stores.of_thread:
            await self._ingestion.wait(list(stores.of_thread), _INGESTION_SECONDS)

    async def search(self, run: tables.Run, queries: list[str], settings: SearchSettings) -> list[JSON]:
        """The best passages as the run's step stores them: none where there is no store, or no query."""
        if not queries:
            return []
        stores = await self._database.read(partial(searched_stores, run=run))
        found = await self._vector_search.search(
            stores.all(), queries, limit=settings.limit, ranking_options=settings.ranking_options, distinct=True
        )
        return [_stored(result) for result in _within_budget(found)]


def _within_budget(found: list[SearchResult]) -> list[SearchResult]:
    """The best of the results, whole, as long as they fit."""
    tokens = 0
    for number, result in enumerate(found):
        tokens += result.tokens
        if tokens > _MOST_TOKENS:
            return found[:number]
    return found


def _stored(result: SearchResult) -> JSON:
    return {
        "file_id": result.file_id,
        "file_name": result.filename,
        "score": result.score,
        "attributes": result.attributes,
        "content": [{"type": "text", "text": result.text}],
    }
