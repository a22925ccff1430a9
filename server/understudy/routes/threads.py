"""/threads."""

from fastapi import APIRouter
from sqlalchemy.orm import Session

from understudy import clock, crud, tables
from understudy.json_route import JSONRoute
from understudy.routes.messages import insert_message
from understudy.runs.lifecycle import active_run
from understudy.schemas.threads import Thread, ThreadCreate, ThreadDeleted, ThreadUpdate
from understudy.services import House
from understudy.tool_resources import merged
from understudy.vector_stores import THREAD_EXPIRES_AFTER

router = APIRouter(prefix="/v1/threads", tags=["Threads"], route_class=JSONRoute)


@router.post("", operation_id="createThread")
async def create_thread(house: House, body: ThreadCreate | None = None) -> Thread:
    """Create a thread; an empty body is legal."""

    def work(session: Session) -> Thread:
        return Thread.model_validate(insert_thread(session, body or ThreadCreate()))

    thread = await house.database.write(work)
    if thread.tool_resources:
        house.ingestion.wake()
    return thread


@router.get("/{thread_id}", operation_id="getThread")
async def retrieve_thread(thread_id: str, house: House) -> Thread:
    """Retrieve a thread."""
    return await house.database.read(
        lambda session: Thread.model_validate(crud.get_or_404(session, tables.Thread, thread_id))
    )


@router.post("/{thread_id}", operation_id="modifyThread")
async def modify_thread(thread_id: str, house: House, body: ThreadUpdate | None = None) -> Thread:
    """Modify a thread."""

    def work(session: Session) -> Thread:
        row = crud.get_or_404(session, tables.Thread, thread_id)
        if body is not None and body.metadata is not None:
            row.metadata_ = body.metadata
        if body is not None:
            row.tool_resources = merged(session, row.tool_resources, body.tool_resources, [], THREAD_EXPIRES_AFTER)
        session.add(row)
        return Thread.model_validate(row)

    thread = await house.database.write(work)
    house.ingestion.wake()
    return thread


@router.delete("/{thread_id}", operation_id="deleteThread")
async def delete_thread(thread_id: str, house: House) -> ThreadDeleted:
    """Delete a thread with its messages and runs, its kernel and its /mnt/data; an active run is cancelled."""

    def running(session: Session) -> str | None:
        crud.get_or_404(session, tables.Thread, thread_id)
        return active_run(session, thread_id)

    if run_id := await house.database.read(running):
        await house.executor.stop(run_id)
    await house.database.write(
        lambda session: crud.delete_row(session, crud.get_or_404(session, tables.Thread, thread_id))
    )
    await house.code_interpreter.forget(thread_id)
    return ThreadDeleted(id=thread_id)


def insert_thread(session: Session, body: ThreadCreate, param: str = "") -> tables.Thread:
    """A new thread and its messages; `param` says where `body` lies in the request."""
    thread = tables.Thread(
        id=crud.chosen_id(session, tables.Thread, "thread", body.id),
        created_at=clock.now(),
        metadata_=body.metadata or {},
        tool_resources=merged(session, {}, body.tool_resources, [], THREAD_EXPIRES_AFTER),
    )
    session.add(thread)
    session.flush()
    for number, message in enumerate(body.messages or []):
        insert_message(session, thread, message, f"{param}messages[{number}].")
    return thread
