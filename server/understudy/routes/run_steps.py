"""/threads/{thread_id}/runs/{run_id}/steps."""

from typing import Annotated

from fastapi import APIRouter, Query
from sqlalchemy.orm import Session

from understudy import crud, tables
from understudy.schemas.base import ListPage
from understudy.schemas.run_steps import Include, ListStepsParams, RunStep, run_step
from understudy.services import House

router = APIRouter(prefix="/v1/threads/{thread_id}/runs/{run_id}/steps", tags=["Run steps"])


@router.get("", operation_id="listRunSteps")
async def list_run_steps(
    thread_id: str, run_id: str, params: Annotated[ListStepsParams, Query()], house: House
) -> ListPage[RunStep]:
    """List a run's steps."""

    def work(session: Session) -> ListPage[RunStep]:
        crud.get_in_thread(session, tables.Run, run_id, thread_id)
        return crud.list_page(session, tables.RunStep, params, run_step(params.include), run_id=run_id)

    return await house.database.read(work)


@router.get("/{step_id}", operation_id="getRunStep")
async def retrieve_run_step(
    thread_id: str,
    run_id: str,
    step_id: str,
    house: House,
    include: Annotated[list[Include] | None, Query(alias="include[]")] = None,
) -> RunStep:
    """Retrieve a run step."""

    def work(session: Session) -> RunStep:
        crud.get_in_thread(session, tables.Run, run_id, thread_id)
        return run_step(include).model_validate(crud.get_or_404(session, tables.RunStep, step_id, run_id=run_id))

    return await house.database.read(work)
