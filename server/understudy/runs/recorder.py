"""The only writer of run, step and message state: always row, commit, event, so polling and streaming agree."""

from collections.abc import Callable
from typing import Literal, TypeVar, get_args

from anyio import CancelScope
from pydantic import BaseModel
from sqlalchemy import select
from sqlalchemy.orm import Session

from understudy import clock, refusals, tables
from understudy.chat_models.base import Usage
from understudy.crud import find, get_or_404
from understudy.database import Database
from understudy.ids import new_id
from understudy.runs.event_stream import EventStream
from understudy.runs.lifecycle import RunStateError, transition
from understudy.schemas.base import JSON
from understudy.schemas.messages import Message
from understudy.schemas.run_steps import RunStep, RunStepWithContent
from understudy.schemas.runs import ACTIVE, Run, RunStatus
from understudy.schemas.threads import Thread

T = TypeVar("T")
Event = tuple[str, type[Run] | type[RunStep] | type[Message], tables.Base]
"""Its name, and as what it shows which row."""
Ending = Literal["cancelled", "failed", "expired", "incomplete"]

_RESTS = frozenset(get_args(RunStatus)) - ACTIVE | {"requires_action"}
_STEP_ENDING = {"cancelled": "cancelled", "failed": "failed", "expired": "expired", "incomplete": "completed"}
_MESSAGE_REASON = {"cancelled": "run_cancelled", "failed": "run_failed", "expired": "run_expired"}


class Recorder:
    """Writes one run's progress and tells its event stream, where somebody listens."""

    def __init__(
        self, database: Database, run_id: str, stream: EventStream | None, *, include_content: bool = False
    ) -> None:
        self._database = database
        self.run_id = run_id
        self._stream = stream
        self._step: type[RunStep] = RunStepWithContent if include_content else RunStep
        self._told: Run | None = None
        self.message_id: str | None = None
        self.step_id: str | None = None

    async def _record(self, work: Callable[[Session], tuple[T, list[Event]]]) -> T:
        # Shielded: a commit without its event would leave a stream that contradicts the table.
        with CancelScope(shield=True):
            result, events = await self._database.write(work)
            if self._stream is not None:
                for name, shown_as, row in events:
                    self._publish(name, shown_as.model_validate(row))
        return result

    def _publish(self, event: str, payload: BaseModel | JSON) -> None:
        if self._stream is not None:
            self._stream.publish(f"thread.{event}", payload)
            if isinstance(payload, Run):
                self._told = payload

    def close_stream(self) -> None:
        """End the event stream: the run has ended or waits for the client, or a fault of ours left it as it was."""
        if self._stream is not None:
            rests = self._told is not None and self._told.status in _RESTS
            self._stream.close(None if rests else refusals.FAULT())

    def created(self, run: Run, thread: Thread | None = None) -> None:
        """Publish that the run, and with createThreadAndRun its thread, is there."""
        if thread is not None:
            self._publish("created", thread)
        self._publish("run.created", run)
        self._publish("run.queued", run)

    async def begin(self) -> None:
        """queued → in_progress. Raises RunStateError."""

        def work(session: Session) -> tuple[None, list[Event]]:
            run = transition(session, self.run_id, "in_progress", started_at=clock.now())
            return None, [("run.in_progress", Run, run)]

        await self._record(work)

    # -----------------------------------------------------------------------------------------------------------------
    # A message step

    async def open_message(self) -> None:
        """A step and the empty message that it creates, both in progress."""
        message_id = self.message_id = new_id("msg")

        def work(session: Session) -> tuple[None, list[Event]]:
            run = get_or_404(session, tables.Run, self.run_id)
            message = tables.Message(
                id=message_id,
                created_at=clock.now(),
                thread_id=run.thread_id,
                assistant_id=run.assistant_id,
                run_id=run.id,
                role="assistant",
                status="in_progress",
            )
            creation = {"type": "message_creation", "message_creation": {"message_id": message.id}}
            step = self._new_step(run, creation)
            session.add_all([message, step])
            begun: list[Event] = [("message.created", Message, message), ("message.in_progress", Message, message)]
            return None, [*_begun(step), *begun]

        await self._record(work)

    def message_delta(self, part: JSON) -> None:
        """Publish a piece of the open message's content, which is stored when it closes."""
        delta = {"id": self.message_id, "object": "thread.message.delta", "delta": {"content": [part]}}
        self._publish("message.delta", delta)

    async def close_message(
        self, content: list[JSON], usage: Usage | None, *, attachments: list[JSON], run_completed: bool
    ) -> None:
        """The message and its step are complete; with `run_completed` so is the run, in the same transaction."""

        def work(session: Session) -> tuple[None, list[Event]]:
            message = get_or_404(session, tables.Message, self.message_id or "")
            step = get_or_404(session, tables.RunStep, self.step_id or "")
            run = transition(session, self.run_id, "completed") if run_completed else _working(session, self.run_id)
            message.status, message.completed_at = "completed", clock.now()
            message.content, message.attachments = content, attachments
            events: list[Event] = [("message.completed", Message, message)]
            events.append(self._close_step(step, run, "completed", usage))
            if run_completed:
                events.append(("run.completed", Run, run))
            return None, events

        await self._record(work)
        self.message_id = self.step_id = None

    # -----------------------------------------------------------------------------------------------------------------
    # A tool calls step

    async def open_tool_calls(self) -> None:
        """A step for the tool calls of one model turn, still without any."""

        def work(session: Session) -> tuple[None, list[Event]]:
            run = get_or_404(session, tables.Run, self.run_id)
            step = self._new_step(run, {"type": "tool_calls", "tool_calls": []})
            session.add(step)
            return None, _begun(step)

        await self._record(work)

    def tool_call_delta(self, call: JSON) -> None:
        """Publish a piece of one tool call, which names its `index`."""
        details = {"type": "tool_calls", "tool_calls": [call]}
        self._publish(
            "run.step.delta",
            {"id": self.step_id, "object": "thread.run.step.delta", "delta": {"step_details": details}},
        )

    async def close_tool_calls(self, tool_calls: list[JSON], usage: Usage | None, position: JSON | None) -> None:
        """All the step's calls are answered; the chat model stands at `position`."""

        def work(session: Session) -> tuple[None, list[Event]]:
            step = get_or_404(session, tables.RunStep, self.step_id or "")
            run = _working(session, self.run_id)
            _note_position(run, position)
            return None, [self._close_step(step, run, "completed", usage, tool_calls)]

        await self._record(work)
        self.step_id = None

    async def require_action(
        self, tool_calls: list[JSON], waiting: list[JSON], usage: Usage | None, position: JSON | None
    ) -> None:
        """The client has to answer the calls `waiting`; the step stays in progress [R]."""

        def work(session: Session) -> tuple[None, list[Event]]:
            step = get_or_404(session, tables.RunStep, self.step_id or "")
            step.step_details = {"type": "tool_calls", "tool_calls": tool_calls}
            step.usage = _usage(usage)
            action = {"type": "submit_tool_outputs", "submit_tool_outputs": {"tool_calls": waiting}}
            run = transition(session, self.run_id, "requires_action", required_action=action)
            _add_usage(run, usage)
            _note_position(run, position)
            return None, [("run.requires_action", Run, run)]

        await self._record(work)

    async def submit_tool_outputs(self, outputs: dict[str, str]) -> Run:
        """requires_action → queued, with the client's answers by call id.

        Raises RunStateError, and BadRequestError where they do not answer just the calls that wait.
        """

        def work(session: Session) -> tuple[Run, list[Event]]:
            waiting = get_or_404(session, tables.Run, self.run_id).required_action
            run = transition(session, self.run_id, "queued", required_action=None)
            if waiting:
                _check_answers([call["id"] for call in waiting["submit_tool_outputs"]["tool_calls"]], list(outputs))
            step = _open_step(session, self.run_id)
            if step is None:
                raise RuntimeError(f"{self.run_id} waits for outputs without an open step")
            calls = [_answered(call, outputs) for call in step.step_details["tool_calls"]]
            event = self._close_step(step, run, "completed", None, calls)
            return Run.model_validate(run), [event, ("run.queued", Run, run)]

        return await self._record(work)

    # -----------------------------------------------------------------------------------------------------------------
    # Ends

    async def cancel(self) -> Run:
        """→ cancelling. Raises RunStateError."""

        def work(session: Session) -> tuple[Run, list[Event]]:
            run = transition(session, self.run_id, "cancelling", required_action=None)
            return Run.model_validate(run), [("run.cancelling", Run, run)]

        return await self._record(work)

    async def end(
        self,
        ending: Ending,
        *,
        error: JSON | None = None,
        incomplete: str | None = None,
        message_reason: str | None = None,
        content: list[JSON] | None = None,
        tool_calls: list[JSON] | None = None,
        usage: Usage | None = None,
    ) -> None:
        """Break off what is open, then the run: message, step, run, in this order.

        `error` is the `last_error`, `incomplete` the reason of the run, `message_reason` that of the message; `content`
        and `tool_calls` are what there is of them. Raises RunStateError where the run has ended already.
        """

        def work(session: Session) -> tuple[None, list[Event]]:
            message, step = _open_message(session, self.run_id), _open_step(session, self.run_id)
            details = {"reason": incomplete} if incomplete else None
            run = transition(
                session, self.run_id, ending, last_error=error, incomplete_details=details, required_action=None
            )
            events: list[Event] = []
            if message:
                reason = message_reason or _MESSAGE_REASON[ending]
                message.status, message.incomplete_at = "incomplete", clock.now()
                message.incomplete_details = {"reason": reason}
                message.content = content or message.content
                events.append(("message.incomplete", Message, message))
            if step:
                step_error = error and error | {"code": _step_code(error["code"])}
                events.append(self._close_step(step, run, _STEP_ENDING[ending], usage, tool_calls, step_error))
            else:
                _add_usage(run, usage)
            events.append((f"run.{ending}", Run, run))
            return None, events

        await self._record(work)
        self.message_id = self.step_id = None

    async def tell_end(self) -> None:
        """Publish the end that somebody else wrote, or a cancel where the run is gone with its thread."""

        def work(session: Session) -> Run | None:
            run = find(session, tables.Run, self.run_id)
            return Run.model_validate(run) if run else None

        with CancelScope(shield=True):
            run = await self._database.read(work)
        if run is None and self._told is not None:
            now = clock.now()
            run = self._told.model_copy(update={"status": "cancelled", "cancelled_at": now, "expires_at": None})
        if run is not None and run.status not in ACTIVE and (not self._told or self._told.status in ACTIVE):
            self._publish(f"run.{run.status}", run)

    # -----------------------------------------------------------------------------------------------------------------

    def _new_step(self, run: tables.Run, details: JSON) -> tables.RunStep:
        self.step_id = new_id("step")
        return tables.RunStep(
            id=self.step_id,
            created_at=clock.now(),
            expires_at=run.expires_at,
            run_id=run.id,
            assistant_id=run.assistant_id,
            thread_id=run.thread_id,
            type=details["type"],
            step_details=details,
        )

    def _close_step(
        self,
        step: tables.RunStep,
        run: tables.Run,
        status: str,
        usage: Usage | None,
        tool_calls: list[JSON] | None = None,
        error: JSON | None = None,
    ) -> Event:
        step.status = status
        setattr(step, f"{status}_at", clock.now())
        step.last_error = error
        step.usage = step.usage or _usage(usage)
        if tool_calls is not None:
            step.step_details = {"type": "tool_calls", "tool_calls": tool_calls}
        _add_usage(run, usage)
        return f"run.step.{status}", self._step, step


def _begun(step: tables.RunStep) -> list[Event]:
    return [("run.step.created", RunStep, step), ("run.step.in_progress", RunStep, step)]


def _open_message(session: Session, run_id: str) -> tables.Message | None:
    found = select(tables.Message).where(tables.Message.run_id == run_id, tables.Message.status == "in_progress")
    return session.scalars(found).first()


def _open_step(session: Session, run_id: str) -> tables.RunStep | None:
    found = select(tables.RunStep).where(tables.RunStep.run_id == run_id, tables.RunStep.status == "in_progress")
    return session.scalars(found).first()


def _working(session: Session, run_id: str) -> tables.Run:
    """The run, which is in progress. Raises RunStateError: a cancel may come between two of the executor's steps."""
    run = find(session, tables.Run, run_id)
    if run is None or run.status != "in_progress":
        raise RunStateError(run.status if run else None)
    return run


def _check_answers(expected: list[str], given: list[str]) -> None:
    if sorted(expected) != sorted(given):
        raise refusals.OTHER_OUTPUTS_WANTED(expected=expected, given=given)


def _answered(call: JSON, outputs: dict[str, str]) -> JSON:
    if call["type"] != "function" or call["id"] not in outputs:
        return call
    return call | {"function": call["function"] | {"output": outputs[call["id"]]}}


def _step_code(code: str) -> str:
    return code if code in ("server_error", "rate_limit_exceeded") else "server_error"


def _usage(usage: Usage | None) -> JSON | None:
    if usage is None:
        return None
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "prompt_token_details": {"cached_tokens": usage.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }


def used(run: tables.Run) -> Usage:
    """What a run has used so far."""
    if not run.usage:
        return Usage()
    return Usage(
        run.usage["prompt_tokens"],
        run.usage["completion_tokens"],
        run.usage["prompt_token_details"]["cached_tokens"],
        run.usage["completion_tokens_details"]["reasoning_tokens"],
    )


def _note_position(run: tables.Run, position: JSON | None) -> None:
    if position is not None:
        run.position = position


def _add_usage(run: tables.Run, usage: Usage | None) -> None:
    if usage is not None:
        run.usage = _usage(used(run) + usage)
