"""The model that does what a script says."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace

from understudy import clock
from understudy.chat_models.base import JSON, ChatModel, ChatModelError, ChatRequest, Delta, Finish, Position
from understudy.script.conversation import Conversation
from understudy.script.grammar import Answer, Rule, Turn
from understudy.script.matching import Groups, Match, shortened
from understudy.script.performance import Performance, TurnError
from understudy.script.script import Script
from understudy.script.template import TemplateError

_LONGEST_ERROR = 4000


@dataclass(frozen=True, slots=True)
class Miss:
    """A rule that did not match, and why."""

    rule: int
    """Counted from 1."""
    line: int
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ModelCall:
    """What became of one model call."""

    request: ChatRequest
    rule: int | None = None
    """The rule that matched, counted from 1."""
    turn: int | None = None
    """Which of its turns was taken, counted from 1."""
    line: int | None = None
    """Of the turn, or of the rule where it has none left."""
    misses: tuple[Miss, ...] = ()
    """Of the rules that were looked at before one matched."""
    error: str | None = None
    """Why the script has no answer."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a run stands: its rule, and where in it to look for the next turn."""

    rule: int
    turn: int
    groups: Groups


class ScriptModel:
    """A ChatModel. Where no rule matches, one of the `others` answers, if the script says so; they are not closed.

    `note` gets each model call before its first delta.
    """

    backend = "script"

    def __init__(
        self,
        script: Script,
        others: Mapping[str, ChatModel] | None = None,
        note: Callable[[ModelCall], None] = lambda _: None,
    ) -> None:
        self.script = script
        self.used: Counter[int] = Counter()
        """How many runs each rule has matched, by its index."""
        self._others = others or {}
        self._note = note

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Delta, None]:
        """Yield the answer's deltas. Raises ChatModelError."""
        conversation = Conversation.of(request)
        misses: list[Miss] = []
        place = self._place(request, conversation, misses)
        act = self._act(request, conversation, place, misses) if place else self._missed(request, conversation, misses)
        async with aclosing(act) as deltas:
            async for delta in deltas:
                yield delta

    async def list_models(self, caller_key: str | None) -> list[JSON]:
        """That of the one who answers where no rule matches, or a name of our own."""
        if other := self._others.get(self.script.on_miss):
            return await other.list_models(caller_key)
        return [{"id": "understudy-script", "object": "model", "created": 0, "owned_by": "understudy"}]

    async def aclose(self) -> None:
        """Nothing to give back."""

    def _place(self, request: ChatRequest, conversation: Conversation, misses: list[Miss]) -> _Place | None:
        """Where the run stands; a rule is chosen for it once. Notes in `misses` why others are not."""
        position = request.position or {}
        if "missed" in position:
            return None
        if position.get("rule") in self.script.ids:
            return _Place(self.script.ids.index(position["rule"]), position["turn"], position["groups"])
        for index, rule in enumerate(self.script.rules):
            match = Match(rule.when, conversation)
            if rule.times is not None and self.used[index] >= rule.times and not conversation.rounds:
                match.misses.append(f"it has matched {rule.times} times, all it may")
            place = None if match.misses else _replayed(index, rule, match.groups, conversation)
            if place is None:
                reasons = match.misses or ["what was called so far is not what its turns call"]
                misses.append(Miss(index + 1, rule.line, tuple(reasons)))
                continue
            if not conversation.rounds:
                self.used[index] += 1
            return place
        return None

    async def _act(
        self, request: ChatRequest, conversation: Conversation, place: _Place, misses: list[Miss]
    ) -> AsyncGenerator[Delta, None]:
        rule = self.script.rules[place.rule]
        call = ModelCall(request, place.rule + 1, None, rule.line, tuple(misses))
        found = _next_turn(rule, place.turn, conversation)
        if found is None:
            raise self._fault(call, self._out_of_turns(rule, conversation))
        number, groups = found
        turn = rule.steps[number]
        call = replace(call, turn=number + 1, line=turn.line)
        variables = conversation.variables() | place.groups | groups
        performance = Performance(self.script, turn, request, conversation, variables)
        try:
            pieces, failure = performance.pieces(), performance.failure()
        except (TurnError, TemplateError) as error:
            raise self._fault(call, f"{self.script.name}, line {turn.line}: {error}") from error
        self._note(call)
        await clock.sleep(turn.delay or 0)
        yield Position({"rule": self.script.ids[place.rule], "turn": number + 1, "groups": place.groups})
        for piece in pieces:
            yield piece
            # Also without a pause: the reader is sent each piece before the next one comes.
            await (clock.sleep(turn.pace.every) if turn.pace and turn.pace.every else asyncio.sleep(0))
        if failure is not None:
            raise failure
        yield Finish(turn.stop or ("tool_calls" if turn.calls_tools else "stop"), performance.usage())

    async def _missed(
        self, request: ChatRequest, conversation: Conversation, misses: list[Miss]
    ) -> AsyncGenerator[Delta, None]:
        call = ModelCall(request, misses=tuple(misses))
        if self.script.on_miss == "fail":
            raise self._fault(call, self._no_rule(conversation, misses))
        other = self._others.get(self.script.on_miss)
        if other is None:
            raise self._fault(call, f"{self.script.name}: on_miss: {self.script.on_miss}, and this server has none.")
        self._note(call)
        yield Position({"missed": self.script.on_miss})
        async with aclosing(other.stream(request)) as deltas:
            async for delta in deltas:
                yield delta

    def _fault(self, call: ModelCall, message: str) -> ChatModelError:
        if len(message) > _LONGEST_ERROR:
            message = message[: _LONGEST_ERROR - 1] + "…"
        self._note(replace(call, error=message))
        return ChatModelError("server_error", message)

    def _no_rule(self, conversation: Conversation, misses: list[Miss]) -> str:
        asked = [f"user {shortened(conversation.user)}", f"model {conversation.model}"]
        asked += [f"assistant {shortened(name)}" for name in conversation.assistant[:1]]
        asked += [f"tools {', '.join(conversation.tools)}"] if conversation.tools else []
        lines = [f"\n  rule {miss.rule} (line {miss.line}): {'; '.join(miss.reasons)}" for miss in misses]
        return f"No rule of {self.script.name} matches: {', '.join(asked)}.{''.join(lines)}"

    def _out_of_turns(self, rule: Rule, conversation: Conversation) -> str:
        count = f"{len(rule.steps)} turn{'s' if len(rule.steps) > 1 else ''}"
        answers = [f"{output.tool} answered {shortened(output.text)}" for output in conversation.outputs()[-4:]]
        return (
            f"{self.script.name}, line {rule.line}: the run goes on, and of the rule's {count} none is left for it. "
            f"{'; '.join(answers)}. Add a turn, such as: - reply: Done."
        )


def _next_turn(rule: Rule, start: int, conversation: Conversation) -> tuple[int, Groups] | None:
    """The index of the first turn from `start` on whose condition holds, and what the condition found."""
    for number, turn in enumerate(rule.steps[start:], start):
        if not isinstance(turn, Turn) or turn.if_ is None:
            return number, {}
        match = Match(turn.if_, conversation)
        if not match.misses:
            return number, match.groups
    return None


def _replayed(index: int, rule: Rule, groups: Groups, conversation: Conversation) -> _Place | None:
    """Where a conversation stands that the rule has begun; None where the rule would have called something else."""
    turn = 0
    for number, outputs in enumerate(conversation.rounds):
        found = _next_turn(rule, turn, conversation.before(number))
        if found is None or not _has_called(rule.steps[found[0]], [output.tool for output in outputs]):
            return None
        turn = found[0] + 1
    return _Place(index, turn, groups)


def _has_called(turn: Answer, tools: list[str]) -> bool:
    return turn.calls_tools and sorted(turn.tools) == sorted(tools)
