"""One model call at work: its deltas become messages and tool calls while they stream in."""

import logging
import re

from understudy.chat_models.base import Delta, Finish, Position, RefusalDelta, TextDelta, ToolCallDelta, Usage
from understudy.ids import new_id
from understudy.runs.answer import Answer, ResolveLink
from understudy.runs.prompt import Prompt
from understudy.runs.recorder import Recorder
from understudy.runs.tool_calls import CodeCall, ToolCall, new_call
from understudy.schemas.base import JSON

log = logging.getLogger("understudy")
_CALL_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Turn:
    """The state of one model call."""

    def __init__(self, recorder: Recorder, prompt: Prompt, resolve_link: ResolveLink | None) -> None:
        self._recorder = recorder
        self._tools = prompt.tools
        self._images = prompt.images
        self._resolve_link = resolve_link
        self._sources = prompt.sources
        self._taken_ids = set(prompt.call_ids)
        self._indexes: dict[int, ToolCall] = {}
        self._blank = ""
        self._left_out = False
        self.answer: Answer | None = None
        self.calls: list[ToolCall] = []
        self.finish = Finish("stop")
        self.position: JSON | None = None
        self.output_bytes = 0

    async def take(self, delta: Delta) -> None:
        """Record one delta."""
        match delta:
            case TextDelta():
                self.output_bytes += len(delta.text)
                await self._take_text(delta.text)
            case ToolCallDelta():
                self.output_bytes += len(delta.arguments)
                await self._take_tool_call(delta)
            case RefusalDelta():
                answer = await self._open_answer()
                self._publish(answer.add_refusal(delta.text))
            case Position():
                self.position = delta.state
            case Finish():
                self.finish = delta

    async def complete_arguments(self) -> None:
        """The model has said everything: show what was held back of answer and calls."""
        if self.answer is not None and self._recorder.message_id:
            self._publish(await self.answer.finish())
        for call in self.calls:
            if rest_of_call := call.finish():
                self._recorder.tool_call_delta(rest_of_call)

    async def answer_or_empty(self) -> Answer:
        """The answer, if only an empty one: programs read `content[0]`."""
        return await self._open_answer()

    async def close_answer(self, usage: Usage | None, *, run_completed: bool) -> None:
        """Complete the message."""
        assert self.answer is not None
        await self._recorder.close_message(
            self.answer.blocks(), usage, attachments=self.answer.attachments(), run_completed=run_completed
        )

    def content(self) -> list[JSON] | None:
        """The message's content so far, where there is a message."""
        return self.answer.blocks() if self.answer is not None else None

    def details(self) -> list[JSON] | None:
        """The tool calls so far, where there are any."""
        return [call.detail() for call in self.calls] if self.calls else None

    async def _take_text(self, text: str) -> None:
        if self.calls:
            # The step of the calls is open, and a message cannot come inside it.
            if not self._left_out:
                log.warning("%s: the model went on talking after its tool calls: left out", self._recorder.run_id)
            self._left_out = True
            return
        if self.answer is None:
            # White space before a tool call is no message.
            self._blank += text
            if self._blank.isspace() or not self._blank:
                return
            text, self._blank = self._blank, ""
        answer = await self._open_answer()
        self._publish(await answer.add_text(text))

    async def _open_answer(self) -> Answer:
        if self.answer is None:
            self.answer = Answer(self._images, self._resolve_link, self._sources)
            await self._recorder.open_message()
            self._publish(self.answer.opening())
        return self.answer

    def _publish(self, parts: list[JSON]) -> None:
        # A delta for each: programs print `delta.content[0]` and look no further.
        for part in parts:
            self._recorder.message_delta(part)

    async def _take_tool_call(self, delta: ToolCallDelta) -> None:
        call = self._indexes.get(delta.index)
        if call is None:
            call = self._indexes[delta.index] = await self._open_call(delta)
            self._recorder.tool_call_delta(call.opening())
        if delta.outputs is not None and isinstance(call, CodeCall):
            call.canned = delta.outputs
        if delta.arguments and (change := call.feed(delta.arguments)):
            self._recorder.tool_call_delta(change)

    async def _open_call(self, delta: ToolCallDelta) -> ToolCall:
        if not self.calls:
            if self.answer is not None:
                await self.complete_arguments()
                await self.close_answer(Usage(), run_completed=False)
            await self._recorder.open_tool_calls()
        name = delta.name or ""
        # An upstream's own id, so that its log can be followed, unless clients could stumble over it.
        given = delta.id if delta.id and _CALL_ID.fullmatch(delta.id) and delta.id not in self._taken_ids else None
        call_id = given or new_id("call")
        self._taken_ids.add(call_id)
        call = new_call(self._tools, len(self.calls), call_id, name)
        self.calls.append(call)
        return call
