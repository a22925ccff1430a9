"""Strings that match a regular expression."""

import re
import string
import warnings
from contextlib import suppress
from functools import lru_cache
from re import _compiler, _parser  # type: ignore[attr-defined]  # sre_parse, the public name, is deprecated
from typing import Any

LONGEST = 10_000
_LETTERS = string.ascii_letters + string.digits + string.punctuation + " "


class UnsatisfiableError(ValueError):
    """No value was found that is valid for the schema."""


@lru_cache(maxsize=64)
def parsed(pattern: str) -> tuple[re.Pattern[str], Any] | None:
    """The pattern and its tokens; None where it is not one of Python's, it is not checked then."""
    with suppress(re.error), warnings.catch_warnings(action="ignore"):
        return re.compile(pattern), _parser.parse(pattern)
    return None


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
