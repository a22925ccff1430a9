"""/vector_stores/{vector_store_id}/files."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from sqlalchemy.orm import Session

from understudy import crud, tables
from understudy.json_route import JSONRoute
from understudy.routes.runs import POLL_AFTER_MS
from understudy.schemas.base import ListPage
from understudy.schemas.vector_store_files import (
    FileContentPage,
    FileListParams,
    TextContent,
    VectorStoreFile,
    VectorStoreFileCreate,
    VectorStoreFileDeleted,
    VectorStoreFileUpdate,
)
from understudy.services import House
from understudy.tool_resources import check_file_ids
from understudy.vector_stores import add_files, get_file, get_live, is_expired

router = APIRouter(prefix="/v1/vector_stores/{vector_store_id}/files", tags=["Vector stores"], route_class=JSONRoute)


@router.post("", operation_id="createVectorStoreFile")
async def create_vector_store_file(vector_store_id: str, body: VectorStoreFileCreate, house: House) -> VectorStoreFile:
    """Put a file into a vector store."""
    check_file_ids([body.file_id], "file_id", listed=False)

    def work(session: Session) -> tuple[VectorStoreFile, list[int]]:
        replaced = add_files(session, get_live(session, vector_store_id), [body])
        return VectorStoreFile.model_validate(get_file(session, vector_store_id, body.file_id)), replaced

    file, replaced = await house.database.write(work)
    await house.ingestion.forget(replaced)
    return file


@router.get("", operation_id="listVectorStoreFiles")
async def list_vector_store_files(
    vector_store_id: str, params: Annotated[FileListParams, Query()], house: House
) -> ListPage[VectorStoreFile]:
    """List a vector store's files."""

    def work(session: Session) -> ListPage[VectorStoreFile]:
        crud.get_or_404(session, tables.VectorStore, vector_store_id)
        return page_of_files(session, vector_store_id, params)

    return await house.database.read(work)


@router.get("/{file_id}", operation_id="getVectorStoreFile")
async def retrieve_vector_store_file(
    vector_store_id: str, file_id: str, house: House, response: Response
) -> VectorStoreFile:
    """Retrieve a vector store's file; the header tells the official clients how soon to ask again."""
    response.headers["openai-poll-after-ms"] = POLL_AFTER_MS
    return await house.database.read(
        lambda session: VectorStoreFile.model_validate(get_file(session, vector_store_id, file_id))
    )


@router.post("/{file_id}", operation_id="updateVectorStoreFileAttributes")
async def modify_vector_store_file(
    vector_store_id: str, file_id: str, body: VectorStoreFileUpdate, house: House
) -> VectorStoreFile:
    """Replace a file's attributes."""

    def work(session: Session) -> VectorStoreFile:
        row = get_file(session, vector_store_id, file_id)
        row.attributes = body.attributes or {}
        session.add(row)
        return VectorStoreFile.model_validate(row)

    return await house.database.write(work)


@router.delete("/{file_id}", operation_id="deleteVectorStoreFile")
async def delete_vector_store_file(vector_store_id: str, file_id: str, house: House) -> VectorStoreFileDeleted:
    """Take a file out of a vector store; the file itself stays."""

    def work(session: Session) -> list[int]:
        row = get_file(session, vector_store_id, file_id)
        crud.delete_row(session, row)
        return [row.seq] if row.seq is not None else []

    await house.ingestion.forget(await house.database.write(work))
    return VectorStoreFileDeleted(id=file_id)


@router.get("/{file_id}/content", operation_id="retrieveVectorStoreFileContent")
async def retrieve_content(vector_store_id: str, file_id: str, house: House) -> FileContentPage:
    """The text that was read from a file; none before it is completed, or once the store has expired."""

    def work(session: Session) -> int | None:
        row = get_file(session, vector_store_id, file_id)
        store = crud.get_or_404(session, tables.VectorStore, vector_store_id)
        return row.seq if row.status == "completed" and not is_expired(store) else None

    seq = await house.database.read(work)
    if seq is None:
        return FileContentPage(data=[])
    try:
        text = await (await house.retrieval.open()).text(seq)
    except KeyError:  # deleted meanwhile
        return FileContentPage(data=[])
    return FileContentPage(data=[TextContent(text=text)])


def page_of_files(
    session: Session, vector_store_id: str, params: FileListParams, *conditions: Any
) -> ListPage[VectorStoreFile]:
    """The page of a store's files that `params` ask for, among those that meet `conditions`."""
    fields = {"vector_store_id": vector_store_id, "status": params.filter or None}
    rows, has_more = crud.list_rows(
        session, tables.VectorStoreFile, params, fields, *conditions, within=vector_store_id
    )
    return crud.as_page(rows, [VectorStoreFile.model_validate(row) for row in rows], has_more)
