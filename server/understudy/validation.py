"""Pydantic's findings as the hosted API would have refused them [R, I]."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from understudy import refusals
from understudy.errors import APIError

Finding = Mapping[str, Any]

_TYPES = {
    "string_type": "a string",
    "int_type": "an integer",
    "int_parsing": "an integer",
    "int_from_float": "an integer",
    "float_type": "a decimal",
    "float_parsing": "a decimal",
    "bool_type": "a boolean",
    "bool_parsing": "a boolean",
    "list_type": "an array of objects",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
}
_LONGEST = 256


def explain(finding: Finding, body: object) -> APIError:
    """The error that answers one of pydantic's findings."""
    in_body = finding["loc"][0] == "body"
    param = path(finding["loc"][1:], body if in_body else None)
    kind, value, context = finding["type"], finding.get("input"), finding.get("ctx") or {}
    match kind:
        case "json_invalid":
            return refusals.NOT_JSON()
        case "missing":
            return refusals.MISSING(param=param) if param else refusals.NO_BODY()
        case "extra_forbidden":
            return refusals.UNKNOWN(param=param)
        case "literal_error":
            return _no_such_value(param, value, context["expected"])
        case "union_tag_invalid":
            tag = context["discriminator"].strip("'")
            return _no_such_value(f"{param}.{tag}", context["tag"], context["expected_tags"])
        case "union_tag_not_found":
            tag = context["discriminator"].strip("'")
            return refusals.MISSING(param=f"{param}.{tag}")
        case "string_pattern_mismatch":
            return refusals.PATTERN(param=param, pattern=context["pattern"])
        case "string_too_long" if finding["loc"][-1] == "[key]":
            key, bound = _brief(value), context["max_length"]
            owner = param.removesuffix(f".{key}")
            return refusals.KEY_TOO_LONG(param=param, owner=owner, key=key, bound=bound, size=len(str(value)))
        case "string_too_long":
            return refusals.STRING_TOO_LONG(param=param, bound=context["max_length"], size=len(str(value)))
        case "string_too_short":
            return refusals.STRING_EMPTY(param=param, bound=context["min_length"])
        case "too_long":
            refusal = refusals.TOO_MANY_PROPERTIES if isinstance(value, dict) else refusals.ARRAY_TOO_LONG
            size = len(value) if isinstance(value, list | dict) else context["actual_length"]
            return refusal(param=param, bound=context["max_length"], size=size)
        case "too_short":
            return refusals.ARRAY_EMPTY(param=param, bound=context["min_length"])
        case "less_than_equal":
            refusal = refusals.INTEGER_ABOVE if isinstance(context["le"], int) else refusals.DECIMAL_ABOVE
            return refusal(param=param, bound=_shown(context["le"]), value=value)
        case "greater_than_equal":
            refusal = refusals.INTEGER_BELOW if isinstance(context["ge"], int) else refusals.DECIMAL_BELOW
            return refusal(param=param, bound=_shown(context["ge"]), value=value)
        case _ if kind in _TYPES and not param:
            return refusals.NO_OBJECT(got=type_name(value))
        case _ if kind in _TYPES:
            expected = "an array of strings" if kind == "list_type" and param.endswith("_ids") else _TYPES[kind]
            return refusals.WRONG_TYPE(param=param, expected=expected, got=type_name(value))
    return refusals.INVALID(param=param, reason=finding["msg"])


def path(loc: Iterable[Any], body: object) -> str:
    """A path such as `messages[0].role`: `loc` without the union tags that pydantic puts into it.

    A part that is no key of the value it stands at is a tag; only the last one may be absent (it is what is missing).
    """
    parts, found, current = [part for part in loc if part != "[key]"], "", body
    for position, part in enumerate(parts):
        if isinstance(part, int):
            found += f"[{part}]"
            current = current[part] if isinstance(current, list) and part < len(current) else None
        elif isinstance(current, Mapping) and part in current:
            found += f".{_brief(part)}" if found else _brief(part)
            current = current[part]
        elif body is None or (position == len(parts) - 1 and isinstance(current, Mapping)):
            name = str(part).removesuffix("[]")  # lists in a query: `include[]`
            found += f".{name}" if found else name
    return found


def type_name(value: object) -> str:
    """JSON's name of a value's type, with its article."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case str() | bytes():
            return "a string"
        case int():
            return "an integer"
        case float():
            return "a decimal number"
        case Mapping():
            return "an object"
    return "an array"


def _brief(value: object) -> str:
    """What a client sent, as far as it is repeated in an answer and in the log."""
    text = str(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _no_such_value(param: str, given: object, expected: str) -> APIError:
    value = _brief(given)
    allowed = re.findall(r"'[^']+'", expected)
    if len(allowed) == 1:
        return refusals.WRONG_VALUE(param=param, value=value, allowed=allowed[0])
    comma = "," if len(allowed) > 2 else ""
    return refusals.NO_SUCH_VALUE(
        param=param, value=value, allowed=f"{', '.join(allowed[:-1])}{comma} and {allowed[-1]}"
    )


def _shown(bound: float) -> float:
    # As JavaScript writes numbers: 2, not 2.0.
    return int(bound) if bound == int(bound) else bound
