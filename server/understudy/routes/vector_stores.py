"""/vector_stores."""

from typing import Annotated

from fastapi import APIRouter, Query
from sqlalchemy.orm import Session

from understudy import crud, tables
from understudy.errors import BadRequestError, InternalServerError
from understudy.json_route import JSONRoute
from understudy.query_rewriting import rewritten
from understudy.schemas.base import ListPage, ListParams
from understudy.schemas.vector_store_files import TextContent
from understudy.schemas.vector_stores import (
    SearchResultItem,
    SearchResultsPage,
    VectorStore,
    VectorStoreCreate,
    VectorStoreDeleted,
    VectorStoreSearch,
    VectorStoreUpdate,
)
from understudy.services import House
from understudy.tool_resources import check_file_ids
from understudy.vector_stores import file_seqs, insert_store, new_files, set_expiry, shown_store, shown_stores
from understudy_retrieval import EmbedderMismatchError, EmbeddingError

router = APIRouter(prefix="/v1/vector_stores", tags=["Vector stores"], route_class=JSONRoute)

_RESULTS = 10


@router.post("", operation_id="createVectorStore")
async def create_vector_store(house: House, body: VectorStoreCreate | None = None) -> VectorStore:
    """Create a vector store; an empty body is legal."""
    wanted = body or VectorStoreCreate()
    check_file_ids(wanted.file_ids or [], "file_ids")

    def work(session: Session) -> VectorStore:
        row = insert_store(
            session,
            new_files(wanted.file_ids or [], wanted.chunking_strategy),
            store_id=crud.chosen_id(session, tables.VectorStore, "vs", wanted.id),
            name=wanted.name,
            description=wanted.description,
            expires_after=wanted.expires_after.model_dump() if wanted.expires_after else None,
            metadata=wanted.metadata,
        )
        return shown_store(session, row)

    store = await house.database.write(work)
    house.ingestion.wake()
    return store


@router.get("", operation_id="listVectorStores")
async def list_vector_stores(params: Annotated[ListParams, Query()], house: House) -> ListPage[VectorStore]:
    """List vector stores."""

    def work(session: Session) -> ListPage[VectorStore]:
        rows, has_more = crud.list_rows(session, tables.VectorStore, params, {})
        return crud.as_page(rows, shown_stores(session, rows), has_more)

    return await house.database.read(work)


@router.get("/{vector_store_id}", operation_id="getVectorStore")
async def retrieve_vector_store(vector_store_id: str, house: House) -> VectorStore:
    """Retrieve a vector store."""
    return await house.database.read(
        lambda session: shown_store(session, crud.get_or_404(session, tables.VectorStore, vector_store_id))
    )


@router.post("/{vector_store_id}", operation_id="modifyVectorStore")
async def modify_vector_store(vector_store_id: str, house: House, body: VectorStoreUpdate | None = None) -> VectorStore:
    """Modify a vector store."""
    wanted = body or VectorStoreUpdate()

    def work(session: Session) -> VectorStore:
        row = crud.get_or_404(session, tables.VectorStore, vector_store_id)
        if wanted.name is not None:
            row.name = wanted.name
        if wanted.metadata is not None:
            row.metadata_ = wanted.metadata
        if "expires_after" in wanted.model_fields_set:
            set_expiry(row, wanted.expires_after.model_dump() if wanted.expires_after else None)
        session.add(row)
        session.flush()
        return shown_store(session, row)

    return await house.database.write(work)


@router.delete("/{vector_store_id}", operation_id="deleteVectorStore")
async def delete_vector_store(vector_store_id: str, house: House) -> VectorStoreDeleted:
    """Delete a vector store; its files stay, and whoever names it goes on without it."""

    def work(session: Session) -> list[int]:
        row = crud.get_or_404(session, tables.VectorStore, vector_store_id)
        seqs = file_seqs(session, vector_store_id)
        crud.delete_row(session, row)
        return seqs

    await house.ingestion.forget_store(vector_store_id, await house.database.write(work))
    return VectorStoreDeleted(id=vector_store_id)


@router.post("/{vector_store_id}/search", operation_id="searchVectorStore")
async def search_vector_store(vector_store_id: str, body: VectorStoreSearch, house: House) -> SearchResultsPage:
    """Search a vector store: each result is a passage."""
    queries = [rewritten(query) for query in body.queries] if body.rewrite_query else body.queries
    try:
        results = await house.vector_search.search(
            [vector_store_id],
            queries,
            limit=body.max_num_results or _RESULTS,
            filters=body.filters,
            ranking_options=body.ranking_options.model_dump() if body.ranking_options else None,
            all_exist=True,
        )
    except EmbedderMismatchError as error:
        raise BadRequestError(str(error)) from error
    except EmbeddingError as error:
        raise InternalServerError(str(error)) from error
    data = [
        SearchResultItem(
            file_id=result.file_id,
            filename=result.filename,
            score=result.score,
            attributes=result.attributes,
            content=[TextContent(text=result.text)],
        )
        for result in results
    ]
    return SearchResultsPage(search_query=queries, data=data)
