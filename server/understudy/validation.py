"""Pydantic's findings in the hosted API's words [R, I]."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

Finding = Mapping[str, Any]
Explanation = dict[str, Any]

_TYPES = {
    "string_type": "a string",
    "int_type": "an integer",
    "int_parsing": "an integer",
    "int_from_float": "an integer",
    "float_type": "a decimal number",
    "bool_type": "a boolean",
    "bool_parsing": "a boolean",
    "list_type": "an array",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
}
_SIDES = {True: ("maximum", "above_max"), False: ("minimum", "below_min")}


def explain(finding: Finding, body: object) -> Explanation:
    """`message`, `param` and `code` of the 400 that answers one of pydantic's findings."""
    in_body = finding["loc"][0] == "body"
    param = path(finding["loc"][1:], body if in_body else None, absent=finding["type"] == "missing")
    message, code, param = _words(finding, param)
    return {"message": message, "param": param or None, "code": code}


def _words(finding: Finding, param: str) -> tuple[str, str, str]:
    kind, value, context = finding["type"], finding.get("input"), finding.get("ctx") or {}
    match kind:
        case "json_invalid":
            return "We could not parse the JSON body of your request.", "invalid_json", ""
        case "missing" if not param:
            return "Missing required request body.", "missing_required_parameter", ""
        case "missing":
            return f"Missing required parameter: '{param}'.", "missing_required_parameter", param
        case "extra_forbidden":
            return f"Unknown parameter: '{param}'.", "unknown_parameter", param
        case "literal_error" if not isinstance(value, str):
            return _wrong_type(param, _one_of(context["expected"]), value)
        case "literal_error":
            return _wrong_value(value, context["expected"]), "invalid_value", param
        case "union_tag_invalid":
            discriminator = context["discriminator"].strip("'")
            param, tag = f"{param}.{discriminator}", value[discriminator] if isinstance(value, Mapping) else value
            if not isinstance(tag, str):
                return _wrong_type(param, _one_of(context["expected_tags"]), tag)
            return _wrong_value(tag, context["expected_tags"]), "invalid_value", param
        case "union_tag_not_found":
            param += "." + context["discriminator"].strip("'")
            return f"Missing required parameter: '{param}'.", "missing_required_parameter", param
        case "string_pattern_mismatch":
            text = f"string does not match pattern. Expected a string that matches the pattern '{context['pattern']}'."
            return f"Invalid '{param}': {text}", "invalid_value", param
        case "string_too_long" | "string_too_short":
            return *_string_bound(param, kind == "string_too_long", context, value), param
        case "too_long" | "too_short":
            return *_size_bound(param, kind == "too_long", context, value), param
        case "less_than_equal" | "greater_than_equal":
            return *_value_bound(param, kind == "less_than_equal", context, value), param
        case "wrong_type":
            return _wrong_type(param, finding["msg"], value)
        case _ if kind in _TYPES and not param:
            text = f"Invalid body: expected a JSON object of content type application/json, but got {type_name(value)}."
            return text, "invalid_type", ""
        case _ if kind in _TYPES:
            return _wrong_type(param, _TYPES[kind], value)
    return f"Invalid '{param}': {finding['msg']}.", "invalid_value", param


def path(loc: Iterable[Any], body: object, *, absent: bool = False) -> str:
    """A path such as `messages[0].role`: `loc` without the union tags that pydantic puts into it.

    A part that is no key of the value it stands at is a tag, but for the last one where that is what is `absent`.
    """
    parts, found, current = [part for part in loc if part != "[key]"], "", body
    for position, part in enumerate(parts):
        if isinstance(part, int):
            found += f"[{part}]"
            current = current[part] if isinstance(current, list) and part < len(current) else None
        elif isinstance(current, Mapping) and part in current:
            found += f".{part}" if found else str(part)
            current = current[part]
        elif body is None or (absent and position == len(parts) - 1 and isinstance(current, Mapping)):
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


def _wrong_type(param: str, expected: str, value: object) -> tuple[str, str, str]:
    return (
        f"Invalid type for '{param}': expected {expected}, but got {type_name(value)} instead.",
        "invalid_type",
        param,
    )


def _one_of(expected: str) -> str:
    allowed = re.findall(r"'[^']+'", expected)
    return allowed[0] if len(allowed) == 1 else f"one of {_listed(allowed, 'or')}"


def _wrong_value(value: object, expected: str) -> str:
    allowed = re.findall(r"'[^']+'", expected)
    if len(allowed) == 1:
        return f"Invalid value: '{value}'. Value must be {allowed[0]}."
    return f"Invalid value: '{value}'. Supported values are: {_listed(allowed, 'and')}."  # [I]


def _listed(values: list[str], conjunction: str) -> str:
    *most, last = values
    return f"{', '.join(most)}{',' if len(most) > 1 else ''} {conjunction} {last}"


def _string_bound(param: str, above: bool, context: Finding, value: object) -> tuple[str, str]:
    side, code = _SIDES[above]
    bound, size = context["max_length" if above else "min_length"], len(str(value))
    return (
        f"Invalid '{param}': string too {'long' if above else 'short'}. Expected a string with {side} length {bound}, "
        f"but got a string with length {size} instead."
    ), f"string_{code}_length"


def _size_bound(param: str, above: bool, context: Finding, value: object) -> tuple[str, str]:
    side, code = _SIDES[above]
    bound = context["max_length" if above else "min_length"]
    size = len(value) if isinstance(value, list | dict) else context["actual_length"]
    if isinstance(value, dict):
        return (
            f"Invalid '{param}': too {'many' if above else 'few'} properties. Expected an object with at "
            f"{'most' if above else 'least'} {bound} properties, but got an object with {size} properties instead."
        ), f"object_{code}_properties"
    return (
        f"Invalid '{param}': array too {'long' if above else 'short'}. Expected an array with {side} length {bound}, "
        f"but got an array with length {size} instead."
    ), f"array_{code}_length"


def _value_bound(param: str, above: bool, context: Finding, value: object) -> tuple[str, str]:
    side, code = _SIDES[above]
    bound = context["le" if above else "ge"]
    kind = "integer" if isinstance(bound, int) else "decimal"
    return (
        f"Invalid '{param}': {kind} {'above' if above else 'below'} {side} value. "
        f"Expected a value {'<=' if above else '>='} {bound}, but got {value} instead."
    ), f"{kind}_{code}_value"
