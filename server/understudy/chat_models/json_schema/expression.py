"""Regular expressions as trees, read with Python's parser; JavaScript's spellings, which JSON Schema means, as well."""

import math
import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from re import _parser  # type: ignore[attr-defined]  # sre_parse, the public name, is deprecated
from typing import Any, NamedTuple

from understudy.chat_models.json_schema.budget import UnsatisfiableError
from understudy.chat_models.json_schema.characters import EVERY, WORD, Characters, of_token

# Of the properties the part that every alphabet agrees on.
_PROPERTIES = {
    **dict.fromkeys(["L", "Letter", "Alphabetic"], "a-zA-Z"),
    **dict.fromkeys(["Lu", "Uppercase_Letter", "Uppercase"], "A-Z"),
    **dict.fromkeys(["Ll", "Lowercase_Letter", "Lowercase"], "a-z"),
    **dict.fromkeys(["N", "Nd", "Number", "Decimal_Number"], "0-9"),
}
_SPELLED = re.compile(r"\\p\{(\w+)\}|\\u\{([0-9a-fA-F]{1,6})\}|(\(\?<)(?=[A-Za-z_])|\\.|\[\^?|\]|.", re.DOTALL)


class Choice(NamedTuple):
    """One of several."""

    options: tuple["Expression", ...]


@dataclass(frozen=True, eq=False, slots=True)
class Repeat:
    """`body` from `low` to `high` times."""

    body: "Expression"
    low: int
    high: float
    shorter: list["Repeat"] = field(default_factory=list)

    def less(self) -> "Repeat":
        """What is left of it after one time, always the same object."""
        if not self.shorter:
            same = self.low == 0 and self.high == math.inf
            self.shorter.append(self if same else Repeat(self.body, max(0, self.low - 1), self.high - 1))
        return self.shorter[0]


class At(NamedTuple):
    """`start`, `end`, `boundary` or `no boundary`."""

    place: str


class Behind(NamedTuple):
    """The character before is in the set, or is not."""

    characters: Characters
    wanted: bool


class Ahead(NamedTuple):
    """What follows begins like this, or does not."""

    body: "Expression"
    wanted: bool


Expression = tuple[Characters | Choice | Repeat | At | Behind | Ahead, ...]
"""Parts that follow one another."""

ANYTHING: Expression = (Repeat((EVERY,), 0, math.inf),)
_PLACES = {
    **dict.fromkeys(["AT_BEGINNING", "AT_BEGINNING_STRING"], "start"),
    **dict.fromkeys(["AT_END", "AT_END_STRING"], "end"),
    "AT_BOUNDARY": "boundary",
    "AT_NON_BOUNDARY": "no boundary",
}


@lru_cache(maxsize=256)
def parsed(pattern: str) -> Expression:
    """Raises UnsatisfiableError for a pattern that is not understood."""
    try:
        with warnings.catch_warnings(action="ignore"):
            tokens = _parser.parse(_in_pythons_spelling(pattern))
        if tokens.state.flags & re.MULTILINE:
            raise UnsatisfiableError("it goes by lines")
        return _expression(tokens, tokens.state.flags)
    except (re.error, OverflowError, RecursionError, UnsatisfiableError) as error:
        raise UnsatisfiableError(f"the pattern {pattern[:100]!r} is not understood: {error}") from error


def _in_pythons_spelling(pattern: str) -> str:
    spelled, in_set = [], False
    for found in _SPELLED.finditer(pattern):
        name, code, group = found.groups()
        if name in _PROPERTIES:
            spelled.append(_PROPERTIES[name] if in_set else f"[{_PROPERTIES[name]}]")
        elif code:
            spelled.append(f"\\U{code:0>8}")
        else:
            spelled.append("(?P<" if group and not in_set else found[0])
        in_set = found[0] != "]" and (in_set or found[0][0] == "[")
    return "".join(spelled)


def _expression(tokens: Any, flags: int) -> Expression:
    return tuple(part for token, argument in tokens for part in _parts(token.name, argument, flags))


def _parts(kind: str, argument: Any, flags: int) -> Expression:
    one = of_token(kind, argument, any_case=bool(flags & re.IGNORECASE), any_line=bool(flags & re.DOTALL))
    if one is not None:
        return (one,)
    match kind:
        case "SUBPATTERN":
            _, added, removed, body = argument
            return _expression(body, (flags | added) & ~removed)
        case "BRANCH":
            return (Choice(tuple(_expression(option, flags) for option in argument[1])),)
        case "MAX_REPEAT" | "MIN_REPEAT":
            low, high, body = argument
            return (Repeat(_expression(body, flags), low, math.inf if high == _parser.MAXREPEAT else int(high)),)
        case "ASSERT" | "ASSERT_NOT":
            direction, body = argument
            return (_assertion(direction, _expression(body, flags), kind == "ASSERT"),)
        case "AT" if argument.name in _PLACES:
            return (At(_PLACES[argument.name]),)
    raise UnsatisfiableError(f"what Python calls {kind.lower()}")


def _assertion(direction: int, body: Expression, wanted: bool) -> Ahead | Behind:
    if direction > 0:
        return Ahead(body, wanted)
    if len(body) == 1 and isinstance(body[0], Characters):
        return Behind(body[0], wanted)
    raise UnsatisfiableError("it looks back further than one character")


def sets_in(expressions: Iterable[Expression]) -> set[Characters]:
    """All sets of characters."""
    found: set[Characters] = set()
    for part in (part for expression in expressions for part in expression):
        match part:
            case Characters():
                found.add(part)
            case Choice(options):
                found |= sets_in(options)
            case Repeat() | Ahead():
                found |= sets_in([part.body])
    return found | seen_behind(expressions)


def seen_behind(expressions: Iterable[Expression]) -> set[Characters]:
    """The sets that matter for the character before."""
    found: set[Characters] = set()
    for part in (part for expression in expressions for part in expression):
        match part:
            case Behind(characters, _):
                found.add(characters)
            case At("boundary" | "no boundary"):
                found.add(WORD)
            case Choice(options):
                found |= seen_behind(options)
            case Repeat() | Ahead():
                found |= seen_behind([part.body])
    return found
