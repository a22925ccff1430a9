"""Pydantic's findings as the hosted API would have refused them [R, I]."""

import re
from collections.abc import Mapping, Sequence
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
    "list_type": "an array",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
}
_ARRAYS = {"file_ids": "an array of strings", "vector_store_ids": "an array of strings", "value": "an array"}
_LONGEST = 256


def explain(finding: Finding, body: object) -> APIError:
    """The error that answers one of pydantic's findings."""
    param = path(finding, body)
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
        case "union_tag_invalid" | "union_tag_not_found":
            tag = context["discriminator"].strip("'")
            if kind == "union_tag_not_found":
                return refusals.MISSING(param=f"{param}.{tag}")
            return _no_such_value(f"{param}.{tag}", value[tag], context["expected_tags"])  # type: ignore[index]
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
        case "wrong_type":
            return refusals.WRONG_TYPE(param=param, expected=finding["msg"], got=type_name(value))
        case _ if kind in _TYPES and not param:
            return refusals.NO_OBJECT(got=type_name(value))
        case _ if kind in _TYPES:
            expected = _TYPES[kind]
            if kind == "list_type":
                expected = _ARRAYS.get(param.rpartition(".")[2], "an array of objects")
            return refusals.WRONG_TYPE(param=param, expected=expected, got=type_name(value))
    return refusals.INVALID(param=param, reason=finding["msg"])


def path(finding: Finding, body: object) -> str:
    """A path such as `messages[0].role`: the finding's place without the union tags that pydantic puts into it."""
    place, *parts = (part for part in finding["loc"] if part != "[key]")
    if place == "body":
        return _path(parts, body, "", finding) or ""
    name, *number = parts  # lists in a query: `include[]`
    return str(name).removesuffix("[]") + "".join(f"[{one}]" for one in number)


def _path(parts: Sequence[Any], current: object, found: str, finding: Finding) -> str | None:
    """Which parts are keys, which are tags, as in a function tool's `function`: what was found has to lie there."""
    if not parts:
        return found if "[key]" in finding["loc"] or current == finding["input"] else None
    part, rest = parts[0], parts[1:]
    if isinstance(part, int):
        fits = isinstance(current, list) and part < len(current)
        return _path(rest, current[part], f"{found}[{part}]", finding) if fits else None  # type: ignore[index]
    longer = f"{found}.{_brief(part)}" if found else _brief(part)
    if isinstance(current, Mapping) and part in current:
        inner = _path(rest, current[part], longer, finding)
        if inner is not None:
            return inner
    elif finding["type"] == "missing" and not rest:
        return longer
    return _path(rest, current, found, finding)


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
    allowed = re.findall(r"'[^']+'", expected)
    if not isinstance(given, str):
        values = allowed[0] if len(allowed) == 1 else f"one of {_listed(allowed, 'or')}"
        return refusals.WRONG_TYPE(param=param, expected=values, got=type_name(given))
    if len(allowed) == 1:
        return refusals.WRONG_VALUE(param=param, value=_brief(given), allowed=allowed[0])
    return refusals.NO_SUCH_VALUE(param=param, value=_brief(given), allowed=_listed(allowed, "and"))


def _listed(values: list[str], conjunction: str) -> str:
    *most, last = values
    return f"{', '.join(most)}{',' if len(most) > 1 else ''} {conjunction} {last}"


def _shown(bound: float) -> float:
    # As JavaScript writes numbers: 2, not 2.0.
    return int(bound) if bound == int(bound) else bound
