"""The search of vector stores: what retrieval finds, as far as the tables still know it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from sqlalchemy import select
from sqlalchemy.orm import Session

from understudy import clock, refusals, tables, vector_stores
from understudy.attribute_filters import Predicate, predicate
from understudy.crud import get_or_404
from understudy.database import Database
from understudy.retrieval_folder import RetrievalFolder
from understudy.schemas.base import JSON
from understudy.schemas.vector_stores import Filter
from understudy_retrieval import Hit, Ranking

_DENSE_ONLY = Ranking(1.0, 0.0)


@dataclass(frozen=True, slots=True)
class SearchResult:
    """A passage that was found; the score is in [0, 1]."""

    file_id: str
    filename: str
    score: float
    attributes: JSON
    text: str
    tokens: int


class VectorSearch:
    """Searches several stores as one. Raises RetrievalError, and BadRequestError for an expired store."""

    def __init__(self, database: Database, folder: RetrievalFolder) -> None:
        self._database = database
        self._folder = folder

    async def search(
        self,
        store_ids: list[str],
        queries: list[str],
        *,
        limit: int,
        filters: Filter | None = None,
        ranking_options: JSON | None = None,
        distinct: bool = False,
        all_exist: bool = False,
    ) -> list[SearchResult]:
        """The best `limit` passages for any of the queries, best first.

        Stores that are gone are left out, unless `all_exist` wants a NotFoundError. With `distinct` no passage shares
        text with a better one, as overlapping neighbours do.
        """
        meets = predicate(filters) if filters else None
        scope = await self._database.read(partial(_scope, store_ids=store_ids, meets=meets, all_exist=all_exist))
        if scope.stale:
            await self._database.write(partial(vector_stores.touch, store_ids=scope.stale))
        if not scope.store_ids or scope.members == []:
            return []
        options = ranking_options or {}
        threshold = options.get("score_threshold") or 0.0
        retrieval = await self._folder.open()
        asked = limit
        while True:
            hits = await retrieval.search(
                scope.store_ids,
                queries,
                limit=asked,
                members=scope.members,
                ranking=ranking(options),
                distinct=distinct,
            )
            wanted = [hit for hit in hits if hit.score >= threshold]
            # After retrieval has answered: a file that has meanwhile been deleted is not shown.
            results = await self._database.read(partial(_live, hits=wanted, meets=meets))
            if len(results) >= limit or len(wanted) < asked:
                return results[:limit]
            asked *= 4


@dataclass(frozen=True, slots=True)
class _Scope:
    store_ids: list[str]
    """Stores with files that can be found."""
    stale: list[str]
    """Stores that were last used before this second."""
    members: list[int] | None
    """The files that meet the filters, where there are filters."""


def ranking(options: JSON) -> Ranking:
    """How ranking options weigh the halves of a score: a ranker's name says no more than whether there is one."""
    if weights := options.get("hybrid_search"):
        return Ranking(weights["embedding_weight"], weights["text_weight"])
    return _DENSE_ONLY if options.get("ranker") == "none" else Ranking()


def _scope(session: Session, store_ids: list[str], meets: Predicate | None, all_exist: bool) -> _Scope:
    stores = session.scalars(select(tables.VectorStore).where(tables.VectorStore.id.in_(store_ids))).all()
    if all_exist and (missing := set(store_ids) - {store.id for store in stores}):
        get_or_404(session, tables.VectorStore, min(missing))
    for store in stores:
        if vector_stores.is_expired(store):
            raise refusals.STORE_EXPIRED(store=store.id)
    file = tables.VectorStoreFile
    filled: list[str] = []
    members: list[int] = []
    for store in stores:
        findable = select(file.seq, file.attributes).where(file.vector_store_id == store.id, file.status == "completed")
        if session.scalars(findable.limit(1)).first() is not None:
            filled.append(store.id)
            if meets:
                members += [seq for seq, attributes in session.execute(findable) if meets(attributes)]
    now = clock.now()
    stale = [store.id for store in stores if store.last_active_at < now]
    return _Scope(filled, stale, members if meets else None)


def _live(session: Session, hits: Sequence[Hit], meets: Predicate | None) -> list[SearchResult]:
    file = tables.VectorStoreFile
    query = (
        select(file.seq, file.id, file.attributes, tables.File.filename)
        .join(tables.File, tables.File.id == file.id)
        .where(file.seq.in_({hit.member_id for hit in hits}), file.status == "completed")
    )
    rows = {row.seq: row for row in session.execute(query)}
    results = []
    for hit in hits:
        row = rows.get(hit.member_id)
        if row is not None and (meets is None or meets(row.attributes)):
            results.append(SearchResult(row.id, row.filename, hit.score, row.attributes, hit.text, hit.tokens))
    return results
