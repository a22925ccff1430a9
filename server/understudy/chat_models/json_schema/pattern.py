"""Strings that match a regular expression."""

import math
import re
import string
import warnings
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from re import _compiler, _parser  # type: ignore[attr-defined]  # sre_parse, the public name, is deprecated
from typing import Any

LONGEST = 10_000
_PATIENCE = 10**7
_LETTERS = string.ascii_letters + string.digits + string.punctuation + " "


class UnsatisfiableError(ValueError):
    """No value was found that is valid for the schema."""


@lru_cache(maxsize=64)
def parsed(pattern: str) -> tuple[re.Pattern[str], Any] | None:
    """The pattern and its tokens; None where it is not one of Python's, it is not checked then."""
    with suppress(re.error), warnings.catch_warnings(action="ignore"):
        return re.compile(pattern), _parser.parse(pattern)
    return None


def matches(pattern: str, value: str) -> bool:
    """Whether `value` has a match; a pattern that may need too long for it is taken to have none."""
    known = parsed(pattern)
    if known is None:
        return True
    regex, tokens = known
    repeats = _repeats(tokens)
    too_long = len(value) > 16 if repeats == math.inf else len(value) ** (repeats + 1) > _PATIENCE
    return not too_long and regex.search(value) is not None


def _repeats(tokens: Any) -> float:
    """How many repetitions backtrack, infinite where one is within another."""
    total: float = 0
    for token, argument in tokens:
        match token.name:
            case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
                low, high, body = argument
                inner = math.inf if any(one.name == "BRANCH" for one, _ in _flat(body)) else _repeats(body)
                total += math.inf if inner and high > 1 else inner + (low != high)
            case "SUBPATTERN" | "ASSERT" | "ASSERT_NOT":
                total += _repeats(argument[-1])
            case "ATOMIC_GROUP":
                total += _repeats(argument)
            case "BRANCH":
                total += sum(map(_repeats, argument[1]))
            case "GROUPREF" | "GROUPREF_EXISTS":
                return math.inf
    return total


def _flat(tokens: Any) -> Iterator[Any]:
    for token, argument in tokens:
        yield token, argument
        if token.name == "SUBPATTERN":
            yield from _flat(argument[-1])


def matching(tokens: Any, repeats: int) -> str:
    """A string for a parsed regular expression, everything repeated `repeats` times where it may be."""
    return "".join(_matching_token(token, argument, repeats, tokens) for token, argument in tokens)


def _matching_token(token: Any, argument: Any, repeats: int, tokens: Any) -> str:
    match token.name:
        case "LITERAL":
            return chr(argument)
        case "NOT_LITERAL" | "ANY" | "IN":
            fits: re.Pattern[str] = _compiler.compile(_parser.SubPattern(tokens.state, [(token, argument)]))
            return next(filter(fits.match, (*_LETTERS, *map(chr, range(0xA0, 0x3100)))), "")
        case "SUBPATTERN":
            return matching(argument[-1], repeats)
        case "BRANCH":
            return matching(argument[1][0], repeats)
        case "MAX_REPEAT" | "MIN_REPEAT":
            low, high, body = argument
            once = matching(body, repeats)
            times: int = min(max(low, repeats), int(high))
            if len(once) * times > LONGEST:
                raise UnsatisfiableError("its pattern asks for too long a string")
            return once * times
    return ""  # anchors and assertions: the check of the value decides
