"""A namespace's language model: the one that was chosen, at the namespace's pace, with its faults, and watched."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from understudy import clock
from understudy.chat_models.base import JSON, ChatModel, ChatModelError, ChatRequest, Delta, TextDelta, ToolCallDelta
from understudy.script.model import ModelCall
from understudy.testing.faults import Faults
from understudy.testing.journal import Journal, ModelCallEntry
from understudy.testing.pace import Pace


class WatchedModel:
    """Another model, which may be exchanged between two calls; each call is entered into the journal."""

    def __init__(self, model: ChatModel, pace: Pace, faults: Faults, journal: Journal) -> None:
        self.first = self.model = model
        self._pace = pace
        self._faults = faults
        self._journal = journal
        self._entries: dict[int, ModelCallEntry] = {}
        """Of the calls at work, by their requests."""

    @property
    def backend(self) -> str:
        """The model's."""
        return self.model.backend

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Delta, None]:
        """The model's deltas. Raises ChatModelError."""
        if request.run_id is not None:
            await self._pace.hold(request.run_id)
        entry = ModelCallEntry(request.run_id, request.model, request.messages, request.tools, clock.now())
        self._journal.model_calls.append(entry)
        self._entries[id(request)] = entry
        try:
            fault = self._faults.for_run() if request.run_id is not None else None
            if fault is not None and fault.fail_run is not None:
                raise ChatModelError(fault.fail_run, fault.message)
            async with aclosing(self.model.stream(request)) as deltas:
                async for delta in deltas:
                    _enter(entry, delta)
                    yield delta
        except ChatModelError as error:
            entry.error = error.message
            raise
        finally:
            del self._entries[id(request)]

    def note(self, call: ModelCall) -> None:
        """Enter which rule of the script the call came to."""
        entry = self._entries[id(call.request)]
        entry.rule, entry.line = call.rule, call.line
        entry.misses = [{"rule": miss.rule, "line": miss.line, "reasons": list(miss.reasons)} for miss in call.misses]
        entry.unmatched = call.rule is None and call.error is not None

    async def list_models(self, caller_key: str | None) -> list[JSON]:
        """The model's."""
        return await self.model.list_models(caller_key)

    async def aclose(self) -> None:
        """Nothing: the model belongs to the server."""


def _enter(entry: ModelCallEntry, delta: Delta) -> None:
    if isinstance(delta, TextDelta):
        entry.answer += delta.text
    elif isinstance(delta, ToolCallDelta):
        while delta.index >= len(entry.tool_calls):
            entry.tool_calls.append({"name": None, "arguments": ""})
        call = entry.tool_calls[delta.index]
        call["name"] = call["name"] or delta.name
        call["arguments"] += delta.arguments
