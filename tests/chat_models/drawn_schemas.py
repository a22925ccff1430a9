"""JSON Schemas drawn at random: of all keywords, and such as a given value is valid for."""

import math
import re
from typing import Any

from hypothesis import strategies as st

_NAMES = st.sampled_from(["a", "b", "name", "kind"])
_PATTERNS = st.sampled_from(
    ["^[a-z]+$", r"\d{2}", "^(?!x)", "^(?=.*[A-Z]).{3,}$", r"^\w+@\w+\.com$", "a|b", "^.{2,4}$"]
)
_FORMATS = st.sampled_from(["date", "date-time", "email", "uuid", "ipv4", "ipv6", "time"])  # that the judge knows
_SMALL = st.integers(0, 4)
_NUMBERS = st.one_of(st.integers(-20, 20), st.sampled_from([0.5, -2.25, 1e6]))

VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), _NUMBERS, st.text("abXY01 @.-", max_size=6)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_NAMES, inner, max_size=3)),
    max_leaves=6,
)


def _some(**keywords: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=keywords)


def _with_type(kind: str, **keywords: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(lambda schema: {"type": kind, **schema}, _some(**keywords))


_LEAVES = st.one_of(
    st.booleans(),
    _with_type("string", minLength=_SMALL, maxLength=st.integers(3, 30), pattern=_PATTERNS),
    _with_type("string", format=_FORMATS),
    _with_type("integer", minimum=_NUMBERS, exclusiveMaximum=_NUMBERS, multipleOf=st.integers(1, 7)),
    _with_type("number", exclusiveMinimum=_NUMBERS, maximum=_NUMBERS, multipleOf=st.sampled_from([0.25, 3, 1.5])),
    st.builds(lambda values: {"enum": values}, st.lists(VALUES, min_size=1, max_size=3)),
    st.builds(lambda value: {"const": value}, VALUES),
    st.builds(lambda kinds: {"type": kinds}, st.lists(st.sampled_from(["null", "boolean", "string"]), min_size=1)),
    st.just({"$ref": "#/$defs/leaf"}),
    st.just({"$ref": "#/$defs/tree"}),
)


def _grown(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    several = st.lists(inner, min_size=1, max_size=3)
    parts = st.dictionaries(_NAMES, inner, max_size=3)
    return st.one_of(
        _with_type(
            "object",
            properties=parts,
            required=st.lists(_NAMES, max_size=2, unique=True),
            additionalProperties=inner,
            patternProperties=st.dictionaries(st.sampled_from(["^a", "e$"]), inner, max_size=1),
            propertyNames=st.sampled_from([{"maxLength": 4}, {"pattern": "^[a-z]"}, True]),
            minProperties=_SMALL,
            maxProperties=st.integers(1, 5),
            dependentRequired=st.dictionaries(_NAMES, st.lists(_NAMES, max_size=2, unique=True), max_size=1),
            dependentSchemas=st.dictionaries(_NAMES, inner, max_size=1),
            unevaluatedProperties=st.booleans(),
        ),
        _with_type(
            "array",
            items=inner,
            prefixItems=several,
            contains=inner,
            minContains=_SMALL,
            maxContains=st.integers(1, 3),
            minItems=_SMALL,
            maxItems=st.integers(1, 5),
            uniqueItems=st.booleans(),
        ),
        _some(allOf=several, properties=parts),
        _some(anyOf=several, type=st.sampled_from(["string", "object", "integer"])),
        _some(oneOf=several),
        st.builds(lambda schema, excluded: {**schema, "not": excluded}, _some(allOf=several), inner),
        st.builds(lambda one, two, three: {"if": one, "then": two, "else": three}, inner, inner, inner),
    )


_TREE = {
    "type": "object",
    "properties": {"value": {"$ref": "#/$defs/leaf"}, "next": {"anyOf": [{"$ref": "#/$defs/tree"}, {"type": "null"}]}},
    "required": ["value", "next"],
}
SCHEMAS = st.builds(
    lambda schema, leaf: {"allOf": [schema], "$defs": {"leaf": leaf, "tree": _TREE}},
    st.recursive(_LEAVES, _grown, max_leaves=8),
    _LEAVES.filter(lambda leaf: not isinstance(leaf, dict) or "$ref" not in leaf),
)


@st.composite
def schemas_for(draw: st.DrawFn, value: Any) -> Any:
    """A schema that `value` is valid for: what it asks is taken from the value."""
    match draw(st.integers(0, 9)):
        case 0:
            return {"anyOf": [draw(_LEAVES.filter(_refers_nowhere)), draw(schemas_for(value))]}
        case 1:
            return {"allOf": [draw(schemas_for(value)), draw(schemas_for(value))]}
        case 2:
            return {"enum": [draw(VALUES), value]}
    match value:
        case bool():
            return draw(st.sampled_from([{"type": "boolean"}, {"const": value}]))
        case None:
            return draw(st.sampled_from([{"type": "null"}, {"type": ["string", "null"]}, {"not": {"type": "number"}}]))
        case int() | float():
            whole = {"multipleOf": max(1, abs(value))} if isinstance(value, int) else {"multipleOf": 0.25}
            bounds = {"minimum": value - draw(_SMALL), "maximum": value + draw(_SMALL)}
            return {"type": "number", **draw(st.sampled_from([whole, bounds, {**whole, **bounds}]))}
        case str():
            pattern = "^" + re.sub(r"[a-z]+", "[a-z]+", re.escape(value)) + "$"
            bounds = {
                "minLength": len(value) - draw(st.integers(0, len(value))),
                "maxLength": len(value) + draw(_SMALL),
            }
            return {
                "type": "string",
                **draw(st.sampled_from([{"pattern": pattern}, bounds, {"pattern": pattern, **bounds}])),
            }
        case list():
            return _for_list(draw, value)
    return _for_object(draw, value)


def _refers_nowhere(leaf: Any) -> bool:
    return not isinstance(leaf, dict) or "$ref" not in leaf


def _for_list(draw: st.DrawFn, value: list[Any]) -> Any:
    schema: dict[str, Any] = {"type": "array", "minItems": len(value) - draw(st.integers(0, len(value)))}
    if draw(st.booleans()):
        schema["prefixItems"] = [draw(schemas_for(part)) for part in value]
        schema["items"] = draw(st.booleans())
    if draw(st.booleans()) and value:
        schema["contains"] = draw(schemas_for(value[-1]))
    return schema


def _for_object(draw: st.DrawFn, value: dict[str, Any]) -> Any:
    schema: dict[str, Any] = {"type": "object"}
    if draw(st.booleans()):
        schema["properties"] = {key: draw(schemas_for(part)) for key, part in value.items()}
        schema["additionalProperties"] = draw(st.booleans())
    schema["required"] = list(value)[: draw(_SMALL)]
    schema["maxProperties"] = len(value) + draw(_SMALL)
    if draw(st.booleans()):
        schema["if"] = {"required": ["kind"]}
        schema["then" if "kind" in value else "else"] = {"minProperties": len(value)}
        schema["propertyNames"] = {"maxLength": math.ceil(max(map(len, value), default=4))}
    return schema
