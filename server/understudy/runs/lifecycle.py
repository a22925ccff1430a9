"""The run's states [D, I]: how a run begins, which states follow which, who holds the thread."""

from typing import Any

from sqlalchemy import bindparam, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from understudy import clock, refusals, tables
from understudy.crud import get_or_404
from understudy.ids import new_id
from understudy.schemas.runs import RunCreate, RunSettings
from understudy.schemas.tools import echoed, normalised

EXPIRES_AFTER = 600  # seconds [D]

_NEXT = {
    "queued": {"in_progress", "cancelling", "failed", "expired"},
    "in_progress": {"requires_action", "completed", "failed", "incomplete", "cancelling", "expired"},
    "requires_action": {"queued", "cancelling", "expired", "failed"},
    "cancelling": {"cancelled"},
}
# Made once: building a statement costs as much as running it.
_LOCKED = (
    select(tables.Run)
    .where(tables.Run.id == bindparam("run_id"))
    .with_for_update()
    # What the session read before it had the lock may be out of date.
    .execution_options(populate_existing=True)
)
_HOLDER = select(tables.Run.id).where(tables.Run.thread_id == bindparam("thread_id"), tables.ACTIVE_RUN)
_SAID = select(tables.Message.id).where(
    tables.Message.thread_id == bindparam("thread_id"), tables.Message.role == "user"
)
_ENDED_AT = {"completed": "completed_at", "failed": "failed_at", "cancelled": "cancelled_at"}


class RunStateError(Exception):
    """The run is in a state that does not allow the change, or is gone; `status` is None then."""

    def __init__(self, status: str | None) -> None:
        super().__init__(f"the run is {status or 'gone'}")
        self.status = status


def transition(session: Session, run_id: str, to: str, **changes: Any) -> tables.Run:
    """Move a run to another state, if its present one allows it. Raises RunStateError."""
    run = session.scalars(_LOCKED, {"run_id": run_id}).first()
    if run is None or to not in _NEXT.get(run.status, ()):
        raise RunStateError(run.status if run else None)
    run.status = to
    if ended_at := _ENDED_AT.get(to):
        setattr(run, ended_at, clock.now())
    for name, value in changes.items():
        setattr(run, name, value)
    session.add(run)
    return run


def active_run(session: Session, thread_id: str) -> str | None:
    """The id of the run that holds the thread's lock."""
    return session.scalars(_HOLDER, {"thread_id": thread_id}).first()


def check_unlocked(session: Session, thread_id: str) -> None:
    """Raises the 400 that a locked thread answers to new messages."""
    if run_id := active_run(session, thread_id):
        raise refusals.MESSAGES_LOCKED(thread=thread_id, run=run_id)


def insert_run(session: Session, thread: tables.Thread, body: RunSettings) -> tables.Run:
    """A queued run of the thread, which it locks.

    Raises NotFoundError for an unknown assistant, BadRequestError for a locked or an empty thread.
    """
    assistant = get_or_404(session, tables.Assistant, body.assistant_id)
    if run_id := active_run(session, thread.id):
        raise refusals.THREAD_LOCKED(thread=thread.id, run=run_id)
    run = _new_run(thread, assistant, body)
    if not run.instructions and not _has_user_message(session, thread.id):
        raise refusals.NOTHING_TO_RUN()
    session.add(run)
    thread_id = thread.id  # a flush that fails leaves rows that cannot be read
    try:
        session.flush()
    except IntegrityError as error:
        # On PostgreSQL others write too: the unique index decides what the query above could not see.
        raise refusals.THREAD_LOCKED_BY_ANOTHER_SERVER(thread=thread_id) from error
    return run


def _new_run(thread: tables.Thread, assistant: tables.Assistant, body: RunSettings) -> tables.Run:
    now = clock.now()
    instructions = assistant.instructions if body.instructions is None else body.instructions
    if isinstance(body, RunCreate) and body.additional_instructions:
        instructions = (
            f"{instructions}\n{body.additional_instructions}" if instructions else body.additional_instructions
        )
    return tables.Run(
        id=new_id("run"),
        created_at=now,
        expires_at=now + EXPIRES_AFTER,
        thread_id=thread.id,
        assistant_id=assistant.id,
        model=body.model or assistant.model,
        instructions=instructions,
        tools=assistant.tools if body.tools is None else normalised(body.tools),
        metadata_=body.metadata or {},
        temperature=assistant.temperature if body.temperature is None else body.temperature,
        top_p=assistant.top_p if body.top_p is None else body.top_p,
        reasoning_effort=body.reasoning_effort or assistant.reasoning_effort,
        max_completion_tokens=body.max_completion_tokens,
        max_prompt_tokens=body.max_prompt_tokens,
        truncation_strategy={"type": "auto", "last_messages": None} | (echoed(body.truncation_strategy) or {}),
        response_format=echoed(body.response_format) or assistant.response_format,
        tool_choice=echoed(body.tool_choice) or "auto",
        parallel_tool_calls=body.parallel_tool_calls is not False,
    )


def _has_user_message(session: Session, thread_id: str) -> bool:
    return session.scalars(_SAID, {"thread_id": thread_id}).first() is not None


def mend_after_crash(session: Session) -> list[str]:
    """End what a crash broke off; the ids of the runs that are still queued, oldest first.

    No step is ever replayed: tokens and side effects would repeat.
    """
    now = clock.now()
    error = {"code": "server_error", "message": "The server was stopped while the run was in progress."}
    broken = select(tables.Run).where(tables.Run.status.in_(("in_progress", "cancelling")))
    for run in session.scalars(broken):
        cancelled = run.status == "cancelling"
        close_open_parts(session, run.id, "cancelled" if cancelled else "failed", None if cancelled else error, now)
        if cancelled:
            transition(session, run.id, "cancelled")
        else:
            transition(session, run.id, "failed", last_error=error)
    queued = select(tables.Run.id).where(tables.Run.status == "queued").order_by(tables.Run.seq)
    return list(session.scalars(queued))


def close_open_parts(session: Session, run_id: str, status: str, last_error: dict[str, str] | None, now: int) -> None:
    """Mark a run's unfinished message and step as broken off."""
    session.connection().execute(
        update(tables.Message)
        .where(tables.Message.run_id == run_id, tables.Message.status == "in_progress")
        .values(status="incomplete", incomplete_at=now, incomplete_details={"reason": f"run_{status}"})
    )
    session.connection().execute(
        update(tables.RunStep)
        .where(tables.RunStep.run_id == run_id, tables.RunStep.status == "in_progress")
        .values({"status": status, f"{status}_at": now, "last_error": last_error})
    )
