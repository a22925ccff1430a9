"""/threads/runs and /threads/{thread_id}/runs."""

from typing import Annotated

from fastapi import APIRouter, Query, Response
from sqlalchemy.orm import Session
from starlette.responses import StreamingResponse

from understudy import crud, refusals, tables
from understudy.json_route import JSONRoute
from understudy.openapi import STREAMED
from understudy.routes.messages import insert_message
from understudy.routes.threads import insert_thread
from understudy.runs.event_stream import EventStream
from understudy.runs.lifecycle import RunStateError, insert_run
from understudy.runs.recorder import Recorder
from understudy.schemas.base import ListPage, ListParams
from understudy.schemas.run_steps import Include
from understudy.schemas.runs import Run, RunCreate, RunUpdate, ThreadAndRunCreate, ToolOutputsSubmit
from understudy.schemas.threads import Thread, ThreadCreate
from understudy.services import CallerKey, House
from understudy.tool_resources import merged
from understudy.vector_stores import THREAD_EXPIRES_AFTER

router = APIRouter(prefix="/v1/threads", tags=["Runs"], route_class=JSONRoute)

POLL_AFTER_MS = "200"


@router.post("/runs", operation_id="createThreadAndRun", response_model=Run, responses=STREAMED)
async def create_thread_and_run(
    body: ThreadAndRunCreate, house: House, caller_key: CallerKey
) -> Run | StreamingResponse:
    """Create a thread and run it."""

    def work(session: Session) -> tuple[Thread, Run]:
        row = insert_thread(session, body.thread or ThreadCreate(), "thread.")
        run = insert_run(session, row, body)
        run.tool_resources = merged(session, {}, body.tool_resources, [], THREAD_EXPIRES_AFTER)
        return Thread.model_validate(row), Run.model_validate(run)

    thread, run = await house.database.write(work)
    if thread.tool_resources or run.tool_resources:
        house.ingestion.wake()
    stream = EventStream() if body.stream else None
    recorder = Recorder(house.database, run.id, stream)
    recorder.created(run, thread)
    house.executor.start(run.id, recorder=recorder, caller_key=caller_key)
    return _answer(run, stream)


@router.post("/{thread_id}/runs", operation_id="createRun", response_model=Run, responses=STREAMED)
async def create_run(
    thread_id: str,
    body: RunCreate,
    house: House,
    caller_key: CallerKey,
    include: Annotated[list[Include] | None, Query(alias="include[]")] = None,
) -> Run | StreamingResponse:
    """Run a thread, which the run locks until it has ended."""

    def work(session: Session) -> Run:
        thread = crud.get_or_404(session, tables.Thread, thread_id)
        for number, message in enumerate(body.additional_messages or []):
            insert_message(session, thread, message, f"additional_messages[{number}].")
        return Run.model_validate(insert_run(session, thread, body))

    run = await house.database.write(work)
    if body.additional_messages:
        house.ingestion.wake()
    stream = EventStream() if body.stream else None
    recorder = Recorder(house.database, run.id, stream, include_content=bool(include))
    recorder.created(run)
    house.executor.start(run.id, recorder=recorder, caller_key=caller_key)
    return _answer(run, stream)


@router.get("/{thread_id}/runs", operation_id="listRuns")
async def list_runs(thread_id: str, params: Annotated[ListParams, Query()], house: House) -> ListPage[Run]:
    """List a thread's runs."""
    return await house.database.read(lambda session: crud.list_in_thread(session, tables.Run, params, Run, thread_id))


@router.get("/{thread_id}/runs/{run_id}", operation_id="getRun")
async def retrieve_run(thread_id: str, run_id: str, house: House, response: Response) -> Run:
    """Retrieve a run; the header tells the official clients how soon to ask again."""
    response.headers["openai-poll-after-ms"] = POLL_AFTER_MS
    return await house.database.read(
        lambda session: Run.model_validate(crud.get_in_thread(session, tables.Run, run_id, thread_id))
    )


@router.post("/{thread_id}/runs/{run_id}", operation_id="modifyRun")
async def modify_run(thread_id: str, run_id: str, house: House, body: RunUpdate | None = None) -> Run:
    """Modify a run's metadata."""

    def work(session: Session) -> Run:
        row = crud.get_in_thread(session, tables.Run, run_id, thread_id)
        if body is not None and body.metadata is not None:
            row.metadata_ = body.metadata
        session.add(row)
        return Run.model_validate(row)

    return await house.database.write(work)


@router.post("/{thread_id}/runs/{run_id}/cancel", operation_id="cancelRun")
async def cancel_run(thread_id: str, run_id: str, house: House) -> Run:
    """Cancel a run that is queued, in progress or waiting for tool outputs."""
    await house.database.read(lambda session: crud.get_in_thread(session, tables.Run, run_id, thread_id))
    try:
        return await house.executor.cancel(run_id)
    except RunStateError as error:
        raise refusals.NOT_CANCELLABLE(status=error.status) from error


@router.post(
    "/{thread_id}/runs/{run_id}/submit_tool_outputs",
    operation_id="submitToolOuputsToRun",
    response_model=Run,
    responses=STREAMED,
)
async def submit_tool_outputs(
    thread_id: str, run_id: str, body: ToolOutputsSubmit, house: House, caller_key: CallerKey
) -> Run | StreamingResponse:
    """Answer all the function calls that a run waits for."""
    await house.database.read(lambda session: crud.get_in_thread(session, tables.Run, run_id, thread_id))
    given = [output.tool_call_id for output in body.tool_outputs]
    if len(set(given)) < len(given):
        raise refusals.OUTPUT_TWICE(given=given)
    outputs = {output.tool_call_id: output.output or "" for output in body.tool_outputs}
    stream = EventStream() if body.stream else None
    recorder = Recorder(house.database, run_id, stream)
    try:
        run = await recorder.submit_tool_outputs(outputs)
    except RunStateError as error:
        raise refusals.NO_OUTPUTS_WANTED(status=error.status) from error
    house.executor.start(run_id, recorder=recorder, caller_key=caller_key)
    return _answer(run, stream)


def _answer(run: Run, stream: EventStream | None) -> Run | StreamingResponse:
    if stream is None:
        return run
    return StreamingResponse(stream.read(), media_type="text/event-stream", headers={"cache-control": "no-cache"})
