"""Runs at work: prompt → model → tools → prompt …, until the run ends or waits for its client."""

import logging
import math
from contextlib import aclosing
from typing import Any

import anyio
from anyio import CancelScope
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from understudy import clock, tables
from understudy.chat_models.base import ChatModel, ChatModelError, ChatRequest, Usage
from understudy.database import Database
from understudy.errors import CassetteMissError, NotFoundError, VectorStoreExpiredError
from understudy.file_storage import FileStorage
from understudy.runs import prompt as prompts
from understudy.runs.code_interpreter import CodeInterpreter
from understudy.runs.file_search import FileSearch
from understudy.runs.lifecycle import RunStateError
from understudy.runs.prompt import Prompt
from understudy.runs.recorder import Ending, Recorder, used
from understudy.runs.tool_calls import CodeCall, FunctionCall, SearchCall
from understudy.runs.turn import Turn
from understudy.schemas.base import JSON
from understudy.schemas.runs import Run
from understudy.settings import Settings
from understudy.supervisor import Supervisor, Task
from understudy_retrieval import RetrievalError
from understudy_sandbox import SandboxUnavailable

log = logging.getLogger("understudy")
_STOPPED = {"code": "server_error", "message": "The server was stopped while the run was in progress."}
_FAULT = {"code": "server_error", "message": "Sorry, something went wrong."}


class RunExecutor:
    """Starts, cancels and expires runs; each executes where it was requested."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        supervisor: Supervisor,
        chat_model: ChatModel,
        storage: FileStorage,
        code_interpreter: CodeInterpreter,
        file_search: FileSearch,
    ) -> None:
        self.settings = settings
        self.database = database
        self.chat_model = chat_model
        self.storage = storage
        self.code_interpreter = code_interpreter
        self.file_search = file_search
        self._supervisor = supervisor
        self._legs: dict[str, _Leg] = {}
        self._unended: set[str] = set()
        """Runs whose end could not be written."""

    def start(self, run_id: str, *, recorder: Recorder | None = None, caller_key: str | None = None) -> None:
        """Execute a queued run in the background."""
        leg = _Leg(self, recorder or Recorder(self.database, run_id, None), caller_key)
        self._legs[run_id] = leg

        async def work() -> None:
            try:
                await leg.execute()
            except SQLAlchemyError:
                self._unended.add(run_id)
                raise
            finally:
                if self._legs.get(run_id) is leg:
                    del self._legs[run_id]

        # A leg that has asked for action may still be closing its stream when the next one starts.
        leg.task = self._supervisor.start(f"run {run_id} {id(leg)}", work)

    @property
    def at_work(self) -> int:
        """How many runs are being executed."""
        return len(self._legs)

    def executes(self, run_id: str) -> bool:
        """Whether a run is being executed."""
        return run_id in self._legs

    async def rested(self, run_id: str) -> None:
        """Wait until a run is not being executed: it has ended, or waits for its client."""
        if leg := self._legs.get(run_id):
            await leg.ended()

    async def cancel(self, run_id: str) -> Run:
        """→ cancelling, and in the background cancelled. Raises RunStateError where the run's state forbids it."""
        leg = self._legs.get(run_id)
        recorder = leg.recorder if leg else Recorder(self.database, run_id, None)
        run = await recorder.cancel()
        self._supervisor.start(f"cancel {run_id}", lambda: self._break_off(run_id, "cancelled"))
        return run

    async def stop(self, run_id: str) -> None:
        """Cancel a run and wait until it has ended: its thread is going away."""
        leg = self._legs.get(run_id)
        try:
            await (leg.recorder if leg else Recorder(self.database, run_id, None)).cancel()
        except RunStateError as error:
            log.debug("%s: %s", run_id, error)
        await self._break_off(run_id, "cancelled")

    async def expire_due(self) -> None:
        """Expire the active runs whose time is over, and end those whose end could not be written."""
        for run_id in list(self._unended):
            await self._end_late(run_id)
        due = select(tables.Run.id).where(
            tables.Run.status.in_(("queued", "in_progress", "requires_action")),
            tables.Run.expires_at <= clock.now(),
        )
        for run_id in await self.database.read(lambda session: session.scalars(due).all()):
            log.info("%s expired", run_id)
            try:
                await self._break_off(run_id, "expired")
            except SQLAlchemyError:
                log.exception("%s could not be expired", run_id)

    async def _end_late(self, run_id: str) -> None:
        """End a run whose end could not be written when it came."""
        recorder = Recorder(self.database, run_id, None)
        try:
            try:
                await recorder.end("failed", error=_FAULT)
            except RunStateError as error:
                if error.status == "cancelling":
                    await recorder.end("cancelled")
        except SQLAlchemyError:
            log.exception("%s still cannot be ended", run_id)
            return
        self._unended.discard(run_id)

    async def drain(self, seconds: float) -> None:
        """Give the runs at work that long to end, then end them: the server stops."""
        with anyio.move_on_after(seconds):
            while leg := next(iter(self._legs.values()), None):
                await leg.ended()
        for leg in list(self._legs.values()):
            if leg.task is not None:
                await leg.task.cancel()

    async def _break_off(self, run_id: str, ending: Ending) -> None:
        leg = self._legs.get(run_id)
        if leg is not None and leg.task is not None:
            leg.ending = ending
            await leg.task.cancel()
        try:
            # Where no leg was at work, or one that had just finished.
            await Recorder(self.database, run_id, None).end(ending)
        except (RunStateError, NotFoundError):
            log.debug("%s has ended", run_id)


class _Leg:
    """A run's way from `queued` to its end or to `requires_action`."""

    def __init__(self, executor: RunExecutor, recorder: Recorder, caller_key: str | None) -> None:
        self._executor = executor
        self.recorder = recorder
        self._caller_key = caller_key
        self._turn: Turn | None = None
        self.task: Task | None = None
        self.ending: Ending | None = None

    async def ended(self) -> None:
        """Wait until it has nothing more to do."""
        if self.task is not None:
            await self.task.wait()

    async def execute(self) -> None:
        """Run, and leave a terminal state or `requires_action` whatever happens."""
        try:
            await self.recorder.begin()
            while await self._round():
                pass
        except ChatModelError as error:
            log.warning("%s failed: %s", self.recorder.run_id, error.message)
            await self._end("failed", error={"code": error.code, "message": error.message})
        except (CassetteMissError, SandboxUnavailable, VectorStoreExpiredError, RetrievalError) as error:
            log.warning("%s failed: %s", self.recorder.run_id, error)
            await self._end("failed", error={"code": "server_error", "message": str(error)})
        except RunStateError as error:
            log.debug("%s: %s", self.recorder.run_id, error)
            await self._end("cancelled")
        except NotFoundError as error:
            log.warning("%s failed: %s", self.recorder.run_id, error.message)
            message = f"What the run worked on was deleted: {error.message}"
            await self._end("failed", error={"code": "server_error", "message": message})
        except anyio.get_cancelled_exc_class():
            with CancelScope(shield=True):
                await self._end(self.ending or "failed", error=None if self.ending else _STOPPED)
            raise
        except Exception:
            log.exception("%s failed", self.recorder.run_id)
            await self._end("failed", error=_FAULT)
        finally:
            self.recorder.close_stream()

    async def _end(self, ending: Ending, **how: Any) -> None:
        try:
            content, details = (self._turn.content(), self._turn.details()) if self._turn else (None, None)
            await self._record_end(ending, content=content, tool_calls=details, **how)
        except Exception:
            # What the model said could not be stored; that the run has ended must be.
            log.exception("%s cannot be ended with its content", self.recorder.run_id)
            await self._record_end("failed", error=_FAULT)

    async def _record_end(self, ending: Ending, **how: Any) -> None:
        try:
            await self.recorder.end(ending, **how)
        except RunStateError as error:
            # Somebody else was first: a cancel, which has still to be finished, or an end, which the stream is told.
            log.debug("%s: %s", self.recorder.run_id, error)
            if error.status == "cancelling" and ending != "cancelled":
                kept = {name: how.get(name) for name in ("content", "tool_calls", "usage")}
                await self._record_end("cancelled", **kept)
            else:
                await self.recorder.tell_end()

    async def _round(self) -> bool:
        """One model call and the tools that it asks for; whether another round follows."""
        self._turn = None
        executor = self._executor
        prompt = await executor.database.read(
            lambda session: prompts.build(session, self.recorder.run_id, executor.storage)
        )
        if prompt.rounds >= executor.settings.max_tool_rounds:
            message = f"The run made {prompt.rounds} rounds of tool calls, the limit set by --max-tool-rounds."
            await self._end("failed", error={"code": "server_error", "message": message})
            return False
        if prompt.tools.code_interpreter:
            executor.code_interpreter.expect()
        if not prompt.rounds:
            await executor.file_search.wait(prompt.stores)
        request = await self._request(prompt)
        if request is None:
            return False
        if executor.settings.log_content:
            log.info("%s asks %s: %s", self.recorder.run_id, request.model, request.messages)
        turn = self._turn = Turn(self.recorder, prompt, self._link_resolver(prompt))
        async with aclosing(executor.chat_model.stream(request)) as deltas:
            async for delta in deltas:
                await turn.take(delta)
        await turn.complete_arguments()
        return await self._conclude(turn, prompt)

    async def _request(self, prompt: Prompt) -> ChatRequest | None:
        """The model call, within what the run's budgets leave; None where they leave nothing and the run has ended."""
        run, spent = prompt.run, used(prompt.run)
        completion = None
        if run.max_completion_tokens is not None:
            completion = run.max_completion_tokens - spent.completion_tokens
            if completion <= 0:
                await self._end("incomplete", incomplete="max_completion_tokens")
                return None
        limit = self._executor.settings.window(run.model) - (completion or 0)
        if run.max_prompt_tokens is not None:
            limit = min(limit, run.max_prompt_tokens - spent.prompt_tokens)
        if not prompt.truncate(limit) and run.max_prompt_tokens is not None:
            await self._end("incomplete", incomplete="max_prompt_tokens")
            return None
        response_format = run.response_format if isinstance(run.response_format, dict) else None
        return ChatRequest(
            model=self._executor.settings.served_model(run.model),
            messages=prompt.messages(),
            tools=prompt.tools.definitions,
            tool_choice=prompt.tools.choice(run.tool_choice, prompt.rounds),
            parallel_tool_calls=None if run.parallel_tool_calls or not prompt.tools.definitions else False,
            response_format=None if response_format == {"type": "text"} else response_format,
            temperature=run.temperature,
            top_p=run.top_p,
            reasoning_effort=run.reasoning_effort,
            max_completion_tokens=completion,
            code_interpreter=prompt.tools.code_interpreter,
            code_files=tuple(prompt.code_files),
            file_search=prompt.tools.file_search,
            vector_stores=tuple(prompt.stores.all()),
            caller_key=self._caller_key,
            run_id=run.id,
            assistant_id=run.assistant_id,
            assistant_name=prompt.assistant_name,
            metadata=prompt.metadata,
            position=run.position,
        )

    async def _conclude(self, turn: Turn, prompt: Prompt) -> bool:
        usage = turn.finish.usage or _estimated_usage(prompt, turn)
        if self._executor.settings.log_content:
            log.info("%s answers: %s %s", self.recorder.run_id, turn.content(), turn.details())
        if turn.finish.reason == "length":
            await self._end("incomplete", incomplete="max_completion_tokens", message_reason="max_tokens", usage=usage)
            return False
        if turn.finish.reason == "content_filter":
            error = {"code": "server_error", "message": "The model's answer was stopped by its content filter."}
            await self._end("failed", error=error, message_reason="content_filter", usage=usage)
            return False
        if not turn.calls:
            await turn.answer_or_empty()
            await turn.close_answer(usage, run_completed=True)
            return False
        return await self._call_tools(turn, prompt, usage)

    async def _call_tools(self, turn: Turn, prompt: Prompt, usage: Usage) -> bool:
        for call in turn.calls:
            match call:
                case CodeCall():
                    await self._run_code(call, prompt)
                case SearchCall():
                    await self._search(call, prompt)
                case FunctionCall() if call.name not in prompt.tools.functions:
                    # A name the model made up: told to the model, not to a client that has no such function.
                    call.output = f"Error: there is no function named {call.name!r}."
        waiting = [call.waiting() for call in turn.calls if isinstance(call, FunctionCall) and call.output is None]
        calls = [call.detail() for call in turn.calls]
        if waiting:
            await self.recorder.require_action(calls, waiting, usage, turn.position)
            return False
        await self.recorder.close_tool_calls(calls, usage, turn.position)
        return True

    async def _search(self, call: SearchCall, prompt: Prompt) -> None:
        call.number, prompt.next_search = prompt.next_search, prompt.next_search + 1
        settings = prompt.tools.search_settings
        call.results = await self._executor.file_search.search(prompt.run, call.queries, settings)

    async def _run_code(self, call: CodeCall, prompt: Prompt) -> None:
        def show(output: JSON) -> None:
            self.recorder.tool_call_delta(call.add_output(output))

        interpreter = self._executor.code_interpreter
        if call.canned is not None:
            await interpreter.show(call.canned, show)
        else:
            await interpreter.run(prompt.run.thread_id, call.code, prompt.code_files, show)

    def _link_resolver(self, prompt: Prompt) -> Any:
        if prompt.tools.code_interpreter is None:
            return None
        kept: dict[str, tables.File | None] = {}
        budget = self._executor.settings.sandbox_disk

        async def resolve(name: str) -> str | None:
            if name not in kept:
                # In the jail a sparse file takes no room, its copy does: an answer may link to so much only.
                room = budget - sum(file.bytes for file in kept.values() if file)
                kept[name] = await self._executor.code_interpreter.keep_file(prompt.run.thread_id, name, room)
            file = kept[name]
            return file.id if file else None

        return resolve


def _estimated_usage(prompt: Prompt, turn: Turn) -> Usage:
    """For servers that report none: about four bytes a token."""
    return Usage(prompt.tokens(), math.ceil(turn.output_bytes / 4))
