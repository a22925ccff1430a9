"""The strings that match regular expressions: whether one does, and which there are.

A string is read from left to right. A state is what must and what must not match all the rest of it; reading a
character leads to the states that can follow (Antimirov's partial derivatives). Nothing is read twice, so no pattern
takes exponential time.
"""

from collections.abc import Iterator
from functools import cached_property
from itertools import product
from typing import Any, NamedTuple

from understudy.chat_models.json_schema.budget import Budget, UnsatisfiableError
from understudy.chat_models.json_schema.characters import WORD, Characters, alike
from understudy.chat_models.json_schema.expression import (
    ANYTHING,
    Ahead,
    At,
    Behind,
    Choice,
    Expression,
    Repeat,
    parsed,
    seen_behind,
    sets_in,
)

LONGEST = 10_000
_MOST_STATES = 300

_Before = frozenset[Characters] | None
"""Those of the sets that matter which the character before is in; None at the start."""


class _State(NamedTuple):
    wanted: frozenset[Expression]
    unwanted: frozenset[Expression]
    before: _Before = None


_Steps = list[tuple[str, _State]]
"""What can be read, each string characters that are alike, and the state that follows."""


class Language:
    """The strings that have a match of every pattern in `wanted` and of none in `unwanted`.

    Raises UnsatisfiableError for a pattern that is not understood, and BudgetSpentError.
    """

    def __init__(self, wanted: tuple[str, ...], unwanted: tuple[str, ...], budget: Budget) -> None:
        sides = [[ANYTHING + parsed(pattern) + ANYTHING for pattern in side] for side in (wanted, unwanted)]
        both = sides[0] + sides[1]
        self._start = _State(frozenset(sides[0]), frozenset(sides[1]))
        self._seen_behind = seen_behind(both)
        self._alphabet = alike(sets_in(both))
        self._steps: dict[tuple[_State, str], list[_State]] = {}
        self._budget = budget

    def has(self, text: str) -> bool:
        """Whether the string belongs to it."""
        states = {self._start}
        for character in text:
            self._budget.spend(len(states))
            states = {after for state in states for after in self._step(state, character)}
        return any(self._may_end(state) for state in states)

    def strings(self, low: int, high: float) -> Iterator[str]:
        """Its strings of `low` to `high` characters, the shortest first."""
        layers: list[dict[_State, _Steps]] = [{self._start: []}]
        for length in range(int(min(high, LONGEST)) + 1):
            if length >= low:
                yield from self._ending(layers)
            for state, steps in layers[-1].items():
                steps += self._live_steps(state)
            layers.append({after: [] for steps in layers[-1].values() for _, after in steps})
            if not layers[-1]:
                return

    def _ending(self, layers: list[dict[_State, _Steps]]) -> Iterator[str]:
        """The strings that end in the last layer."""
        live = [{state for state in layers[-1] if self._may_end(state)}]
        if not live[0]:
            return
        for layer in reversed(layers[:-1]):
            self._budget.spend(len(layer))
            live.append({state for state, steps in layer.items() if any(after in live[-1] for _, after in steps)})
        live.reverse()
        ways = [iter([("", live[0])])]
        written: list[str] = []
        while ways:
            self._budget.spend()
            character, states = next(ways[-1], (None, set()))
            if character is None:
                ways.pop()
                written = written[:-1]
            elif len(ways) == len(layers):
                yield "".join(written) + character
            else:
                written.append(character)
                ways.append(self._ways_on(layers[len(ways) - 1], states, live[len(ways)]))

    def _ways_on(
        self, layer: dict[_State, _Steps], states: set[_State], live: set[_State]
    ) -> Iterator[tuple[str, set[_State]]]:
        """What can be read in these states, each character with the states that may follow."""
        found: dict[str, set[_State]] = {}
        for state in states:
            for like, after in layer[state]:
                if after in live:
                    found.setdefault(like, set()).add(after)
        return ((one, found[like]) for like in self._alphabet if like in found for one in like)

    @cached_property
    def _live(self) -> set[_State] | None:
        """The states that can still come to an end; None where there are too many to know."""
        before: dict[_State, set[_State]] = {self._start: set()}
        waiting = [self._start]
        while waiting:
            state = waiting.pop()
            for _, after in self._all_steps(state):
                if after not in before:
                    before[after] = set()
                    waiting.append(after)
                before[after].add(state)
            if len(before) > _MOST_STATES:
                return None
        live: set[_State] = set()
        waiting = [state for state in before if self._may_end(state)]
        while waiting:
            state = waiting.pop()
            if state not in live:
                live.add(state)
                waiting += before[state]
        return live

    def _live_steps(self, state: _State) -> Iterator[tuple[str, _State]]:
        live = self._live
        return (step for step in self._all_steps(state) if live is None or step[1] in live)

    def _all_steps(self, state: _State) -> Iterator[tuple[str, _State]]:
        for like in self._alphabet:
            for after in self._step(state, like[0]):
                yield like, after

    def _step(self, state: _State, character: str) -> list[_State]:
        """The states that can follow when `character` is read."""
        self._budget.spend()
        key = (state, character)
        if key not in self._steps:
            self._steps[key] = list(dict.fromkeys(self._stepping(state, character)))
        return self._steps[key]

    def _stepping(self, state: _State, character: str) -> Iterator[_State]:
        here = frozenset(one for one in self._seen_behind if one.fits(character))
        unwanted: frozenset[Expression] = frozenset()
        for rest in state.unwanted:
            unwanted |= self._any_after(rest, state.before, character)
        for parts in product(*(self._read(rest, state.before, character) for rest in state.wanted)):
            self._budget.spend()
            after = unwanted.union(*(part.unwanted for part in parts))
            if ANYTHING not in after:
                yield _State(frozenset().union(*(part.wanted for part in parts)) - {ANYTHING}, after, here)

    def _any_after(self, rest: Expression, before: _Before, character: str) -> frozenset[Expression]:
        """What may follow `rest` where each way counts for itself, as it does for what is not wanted."""
        states = self._read(rest, before, character)
        if any(state.unwanted or len(state.wanted) > 1 for state in states):
            raise UnsatisfiableError("a pattern looks ahead within what is excluded")
        return frozenset(next(iter(state.wanted), ANYTHING) for state in states)

    def _read(self, rest: Expression, before: _Before, character: str) -> list[_State]:
        """The states, each a way to go on with `rest` alone."""
        seen, waiting, found = {rest}, [rest], []
        while waiting:
            self._budget.spend(1 + len(waiting[-1]) // 50)
            match waiting.pop():
                case (Characters() as one, *after):
                    if one.fits(character):
                        found.append(_State(frozenset({tuple(after)} - {ANYTHING}), frozenset()))
                case (Ahead(body, wanted), *after):
                    ahead = self._read(tuple(after), before, character)
                    found += self._with_view(ahead, body + ANYTHING, wanted, before, character)
                case (part, *after):
                    inside = WORD.fits(character)
                    ways = set(_ways(part, tuple(after), before, end=False, boundary=_in(WORD, before) != inside))
                    waiting += ways - seen
                    seen |= ways
        return found

    def _with_view(
        self, states: list[_State], ahead: Expression, wanted: bool, before: _Before, character: str
    ) -> Iterator[_State]:
        """The states, each with what is to be ahead, or is not."""
        if not wanted:
            excluded = self._any_after(ahead, before, character)
            yield from (_State(state.wanted, state.unwanted | excluded) for state in states)
            return
        for one, two in product(states, self._read(ahead, before, character)):
            yield _State(one.wanted | two.wanted, one.unwanted | two.unwanted)

    def _may_end(self, state: _State) -> bool:
        return all(self._ends(rest, state.before) for rest in state.wanted) and not any(
            self._ends(rest, state.before) for rest in state.unwanted
        )

    def _ends(self, rest: Expression, before: _Before) -> bool:
        """Whether nothing more need follow."""
        seen, waiting = {rest}, [rest]
        while waiting:
            self._budget.spend(1 + len(waiting[-1]) // 50)
            match waiting.pop():
                case ():
                    return True
                case (Characters(), *_):
                    ways = set()
                case (Ahead(body, wanted), *after):
                    ways = {tuple(after)} if self._ends(body, before) == wanted else set()
                case (part, *after):
                    ways = set(_ways(part, tuple(after), before, end=True, boundary=_in(WORD, before)))
            waiting += ways - seen
            seen |= ways
        return False


def _in(characters: Characters, before: _Before) -> bool:
    return before is not None and characters in before


def _ways(part: Any, after: Expression, before: _Before, *, end: bool, boundary: bool) -> Iterator[Expression]:
    """What may stand in the place of `part` and what is after it, without a character read."""
    match part:
        case Choice(options):
            yield from (option + after for option in options)
        case Repeat():
            if part.low == 0:
                yield after
            if part.high > 0:
                yield (*part.body, part.less(), *after)
        case Behind(characters, wanted):
            if _in(characters, before) == wanted:
                yield after
        case At(place):
            here = {"start": before is None, "end": end, "boundary": boundary, "no boundary": not boundary}
            if here[place]:
                yield after
