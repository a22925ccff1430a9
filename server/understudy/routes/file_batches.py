"""/vector_stores/{vector_store_id}/file_batches."""

from typing import Annotated

from fastapi import APIRouter, Query, Response
from sqlalchemy import update
from sqlalchemy.orm import Session

from understudy import crud, tables
from understudy.json_route import JSONRoute
from understudy.routes.runs import POLL_AFTER_MS
from understudy.routes.vector_store_files import page_of_files
from understudy.schemas.base import ListPage
from understudy.schemas.file_batches import FileBatch, FileBatchCreate
from understudy.schemas.vector_store_files import FileListParams, VectorStoreFile
from understudy.services import House
from understudy.tool_resources import check_file_ids
from understudy.vector_stores import get_live, in_batch, insert_batch, shown_batch

router = APIRouter(
    prefix="/v1/vector_stores/{vector_store_id}/file_batches", tags=["Vector stores"], route_class=JSONRoute
)


@router.post("", operation_id="createVectorStoreFileBatch")
async def create_file_batch(vector_store_id: str, body: FileBatchCreate, house: House) -> FileBatch:
    """Put files into a vector store together."""
    files = body.all_files()
    if body.files is None:
        check_file_ids([file.file_id for file in files], "file_ids")
    else:
        for number, file in enumerate(files):
            check_file_ids([file.file_id], f"files[{number}].file_id", listed=False)

    def work(session: Session) -> tuple[FileBatch, list[int]]:
        row, replaced = insert_batch(session, get_live(session, vector_store_id), files)
        return shown_batch(session, row), replaced

    batch, replaced = await house.database.write(work)
    await house.ingestion.forget(replaced)
    return batch


@router.get("/{batch_id}", operation_id="getVectorStoreFileBatch")
async def retrieve_file_batch(vector_store_id: str, batch_id: str, house: House, response: Response) -> FileBatch:
    """Retrieve a file batch; the header tells the official clients how soon to ask again."""
    response.headers["openai-poll-after-ms"] = POLL_AFTER_MS
    return await house.database.read(lambda session: shown_batch(session, _get(session, vector_store_id, batch_id)))


@router.post("/{batch_id}/cancel", operation_id="cancelVectorStoreFileBatch")
async def cancel_file_batch(vector_store_id: str, batch_id: str, house: House) -> FileBatch:
    """Cancel the files of a batch that are still in progress; a batch that has ended stays as it is."""
    file = tables.VectorStoreFile

    def work(session: Session) -> tuple[FileBatch, set[int]]:
        row = _get(session, vector_store_id, batch_id)
        waiting = update(file).where(in_batch(row), file.status == "in_progress")
        cancelled = session.connection().execute(waiting.values(status="cancelled").returning(file.seq))
        seqs = {seq for seq in cancelled.scalars() if seq is not None}
        if seqs:
            row.cancelled = True
            session.add(row)
            session.flush()
        return shown_batch(session, row), seqs

    batch, seqs = await house.database.write(work)
    house.ingestion.break_off(seqs)
    return batch


@router.get("/{batch_id}/files", operation_id="listFilesInVectorStoreBatch")
async def list_files(
    vector_store_id: str, batch_id: str, params: Annotated[FileListParams, Query()], house: House
) -> ListPage[VectorStoreFile]:
    """List a batch's files."""

    def work(session: Session) -> ListPage[VectorStoreFile]:
        batch = _get(session, vector_store_id, batch_id)
        return page_of_files(session, vector_store_id, params, in_batch(batch))

    return await house.database.read(work)


def _get(session: Session, vector_store_id: str, batch_id: str) -> tables.FileBatch:
    crud.get_or_404(session, tables.VectorStore, vector_store_id)
    return crud.get_or_404(session, tables.FileBatch, batch_id, vector_store_id=vector_store_id)
