"""/threads/{thread_id}/messages."""

from typing import Annotated

from fastapi import APIRouter, Query
from sqlalchemy.orm import Session

from understudy import clock, crud, refusals, tables
from understudy.ids import new_id
from understudy.json_route import JSONRoute
from understudy.runs.lifecycle import check_unlocked
from understudy.schemas.base import ListPage, ListParams
from understudy.schemas.messages import Message, MessageCreate, MessageDeleted, MessageUpdate, content_blocks
from understudy.services import House
from understudy.tool_resources import attach, check_message_files

router = APIRouter(prefix="/v1/threads/{thread_id}/messages", tags=["Messages"], route_class=JSONRoute)


class MessageListParams(ListParams):
    """The parameters of listMessages."""

    run_id: str | None = None


@router.post("", operation_id="createMessage")
async def create_message(thread_id: str, body: MessageCreate, house: House) -> Message:
    """Add a message to a thread that no run has locked."""

    def work(session: Session) -> Message:
        thread = crud.get_or_404(session, tables.Thread, thread_id)
        check_unlocked(session, thread_id)
        return Message.model_validate(insert_message(session, thread, body))

    message = await house.database.write(work)
    if body.attachments:
        house.ingestion.wake()
    return message


@router.get("", operation_id="listMessages")
async def list_messages(
    thread_id: str, params: Annotated[MessageListParams, Query()], house: House
) -> ListPage[Message]:
    """List a thread's messages."""
    run_id = params.run_id or None
    return await house.database.read(
        lambda session: crud.list_in_thread(session, tables.Message, params, Message, thread_id, run_id=run_id)
    )


@router.get("/{message_id}", operation_id="getMessage")
async def retrieve_message(thread_id: str, message_id: str, house: House) -> Message:
    """Retrieve a message."""
    return await house.database.read(
        lambda session: Message.model_validate(crud.get_in_thread(session, tables.Message, message_id, thread_id))
    )


@router.post("/{message_id}", operation_id="modifyMessage")
async def modify_message(thread_id: str, message_id: str, house: House, body: MessageUpdate | None = None) -> Message:
    """Modify a message's metadata."""

    def work(session: Session) -> Message:
        row = crud.get_in_thread(session, tables.Message, message_id, thread_id)
        if body is not None and body.metadata is not None:
            row.metadata_ = body.metadata
        session.add(row)
        return Message.model_validate(row)

    return await house.database.write(work)


@router.delete("/{message_id}", operation_id="deleteMessage")
async def delete_message(thread_id: str, message_id: str, house: House) -> MessageDeleted:
    """Delete a message."""

    def work(session: Session) -> None:
        row = crud.get_in_thread(session, tables.Message, message_id, thread_id)
        if row.status == "in_progress":
            raise refusals.MESSAGE_LOCKED(message=message_id, run=row.run_id)
        crud.delete_row(session, row)

    await house.database.write(work)
    return MessageDeleted(id=message_id)


def insert_message(session: Session, thread: tables.Thread, body: MessageCreate, param: str = "") -> tables.Message:
    """A new message, whose attachments the thread gets; `param` says where `body` lies in the request."""
    check_message_files(session, body, param)
    attach(session, thread, body.attachments or [], param)
    now = clock.now()
    message = tables.Message(
        id=new_id("msg"),
        created_at=now,
        completed_at=now,
        thread_id=thread.id,
        role=body.role,
        content=content_blocks(body.content),
        attachments=[attachment.model_dump() for attachment in body.attachments or []],
        metadata_=body.metadata or {},
    )
    session.add(message)
    session.flush()
    return message
