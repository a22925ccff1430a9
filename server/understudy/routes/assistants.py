"""/assistants."""

from typing import Annotated

from fastapi import APIRouter, Query
from sqlalchemy.orm import Session

from understudy import clock, crud, tables
from understudy.json_route import JSONRoute
from understudy.schemas.assistants import Assistant, AssistantCreate, AssistantDeleted, AssistantUpdate
from understudy.schemas.base import ListPage, ListParams
from understudy.schemas.tools import echoed, normalised
from understudy.services import House
from understudy.tool_resources import merged

router = APIRouter(prefix="/v1/assistants", tags=["Assistants"], route_class=JSONRoute)


@router.post("", operation_id="createAssistant")
async def create_assistant(body: AssistantCreate, house: House) -> Assistant:
    """Create an assistant."""

    def work(session: Session) -> Assistant:
        row = tables.Assistant(
            id=crud.chosen_id(session, tables.Assistant, "asst", body.id), created_at=clock.now(), model=body.model
        )
        return _change(session, row, body)

    assistant = await house.database.write(work)
    if assistant.tool_resources:
        house.ingestion.wake()
    return assistant


@router.get("", operation_id="listAssistants")
async def list_assistants(params: Annotated[ListParams, Query()], house: House) -> ListPage[Assistant]:
    """List assistants."""
    return await house.database.read(lambda session: crud.list_page(session, tables.Assistant, params, Assistant))


@router.get("/{assistant_id}", operation_id="getAssistant")
async def retrieve_assistant(assistant_id: str, house: House) -> Assistant:
    """Retrieve an assistant."""
    return await house.database.read(
        lambda session: Assistant.model_validate(crud.get_or_404(session, tables.Assistant, assistant_id))
    )


@router.post("/{assistant_id}", operation_id="modifyAssistant")
async def modify_assistant(assistant_id: str, house: House, body: AssistantUpdate | None = None) -> Assistant:
    """Modify an assistant."""

    def work(session: Session) -> Assistant:
        row = crud.get_or_404(session, tables.Assistant, assistant_id)
        return _change(session, row, body or AssistantUpdate())

    assistant = await house.database.write(work)
    if assistant.tool_resources:
        house.ingestion.wake()
    return assistant


@router.delete("/{assistant_id}", operation_id="deleteAssistant")
async def delete_assistant(assistant_id: str, house: House) -> AssistantDeleted:
    """Delete an assistant; its runs and messages stay."""
    await house.database.write(
        lambda session: crud.delete_row(session, crud.get_or_404(session, tables.Assistant, assistant_id))
    )
    return AssistantDeleted(id=assistant_id)


def _change(session: Session, row: tables.Assistant, body: AssistantUpdate) -> Assistant:
    for name in ("model", "name", "description", "instructions", "reasoning_effort", "temperature", "top_p"):
        if (value := getattr(body, name)) is not None:
            setattr(row, name, value)
    if body.tools is not None:
        row.tools = normalised(body.tools)
    if body.metadata is not None:
        row.metadata_ = body.metadata
    if body.response_format is not None:
        row.response_format = echoed(body.response_format)
    row.tool_resources = merged(session, row.tool_resources, body.tool_resources, row.tools)
    session.add(row)
    session.flush()
    return Assistant.model_validate(row)
