"""Values made for JSON Schemas, with the jsonschema package as the judge."""

import re
import time
import warnings
from itertools import islice
from typing import Any

import pytest
from jsonschema import Draft7Validator, Draft202012Validator

from understudy.chat_models.json_schema import UnsatisfiableError, example
from understudy.chat_models.json_schema.budget import Budget
from understudy.chat_models.json_schema.pattern import Language

NODE = {
    "type": "object",
    "properties": {"value": {"type": "integer"}, "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}},
    "required": ["value", "next"],
    "additionalProperties": False,
}
SHAPE = {
    "type": "object",
    "properties": {"kind": {"const": "circle"}, "radius": {"type": "number", "exclusiveMinimum": 0}},
    "required": ["kind", "radius"],
}
SQUARE = {
    "type": "object",
    "properties": {"kind": {"const": "square"}, "side": {"type": "number"}},
    "required": ["kind", "side"],
}

SCHEMAS: list[Any] = [
    True,
    {},
    {"type": "string"},
    {"type": "null"},
    {"type": "boolean"},
    {"type": ["null", "integer"]},
    {"type": ["object", "null"], "properties": {"a": False}, "required": ["a"]},
    {"enum": [None, "a"]},
    {"type": ["string", "null"], "enum": ["red", None]},
    {"const": {"deep": [1, None]}},
    {"type": "integer", "minimum": 7, "maximum": 7},
    {"type": "integer", "exclusiveMinimum": 7, "multipleOf": 5},
    {"type": "integer", "maximum": -3},
    {"type": "number", "exclusiveMaximum": 1},
    {"type": "integer", "minimum": -20, "exclusiveMaximum": -10, "multipleOf": 7},
    {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
    {"type": "number", "minimum": 0.25, "maximum": 0.3},
    {"type": "number", "multipleOf": 0.01, "minimum": 0.5},
    {"type": "number", "minimum": 1e300},
    {"type": "string", "minLength": 40},
    {"type": "string", "maxLength": 2},
    {"type": "string", "maxLength": 0},
    *({"type": "string", "format": name} for name in ("date", "date-time", "time", "email", "uri", "uuid", "ipv4")),
    *({"type": "string", "format": name} for name in ("ipv6", "hostname", "duration", "of-another-kind")),
    {"type": "string", "pattern": "^[A-Z]{3}-[0-9]+$"},
    {"type": "string", "pattern": r"^(red|green)_\d{2,4}(\.x)?$"},
    {"type": "string", "pattern": r"^[^a-zA-Z\d\s]\w\W\S$"},
    {"type": "string", "pattern": "^[a-z]+$", "minLength": 12},
    {"type": "string", "pattern": "^[а-я]+ё$"},
    {"type": "string", "pattern": r"^\+?[1-9]\d{1,14}$"},
    {"type": "string", "pattern": "[[a]"},
    {"type": "string", "pattern": r"^(?<year>\d{4})-\p{Lu}\p{L}+$"},
    {"pattern": "^x{3}$"},
    {"type": "array"},
    {"type": "array", "items": {"type": "string"}, "minItems": 3, "uniqueItems": True},
    {"type": "array", "items": {"enum": ["a", "b", "c"]}, "minItems": 3, "uniqueItems": True},
    {"type": "array", "items": {"type": "string", "format": "email"}, "minItems": 4, "uniqueItems": True},
    {"type": "array", "items": {"type": "number", "minimum": 0, "maximum": 1}, "minItems": 5, "uniqueItems": True},
    {"type": "array", "items": {"type": "integer"}, "maxItems": 0},
    {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}], "items": False, "minItems": 2},
    {"type": "array", "prefixItems": [{"type": "integer"}], "items": {"type": "null"}, "minItems": 3},
    {"items": {"items": {"type": "boolean"}}},
    {"type": "object", "additionalProperties": {"type": "integer"}, "minProperties": 2},
    {"type": "object", "required": ["undeclared"], "additionalProperties": {"type": "integer"}},
    {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}, "maxProperties": 1},
    {"properties": {"a": {"type": "array", "items": {"type": "integer"}}}, "minProperties": 1},
    {"properties": {"a": True, "b": False}, "required": ["a"]},
    {"type": "string", "default": 5},
    {"type": "integer", "default": 5, "examples": ["no", 6]},
    {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None},
    {"anyOf": [False, {"type": "string"}]},
    {"oneOf": [{"type": "integer", "multipleOf": 2}, {"type": "integer", "multipleOf": 3}]},
    {"oneOf": [SHAPE, SQUARE]},
    {"oneOf": [{"type": "boolean"}, {"enum": [1]}, {"const": 0}]},
    {"allOf": [{"type": "integer", "minimum": 3}, {"multipleOf": 4}, {"type": "number", "maximum": 9}]},
    {"allOf": [SHAPE, {"properties": {"radius": {"minimum": 2}, "name": {"type": "string"}}, "required": ["name"]}]},
    {"type": "string", "not": {"enum": ["example", ""]}},
    {"$ref": "#/$defs/node", "$defs": {"node": NODE}},
    {"type": "object", "properties": {"children": {"type": "array", "items": {"$ref": "#"}}}, "required": ["children"]},
    {
        "definitions": {"a b/c": {"type": "integer", "minimum": 9}},
        "type": "object",
        "properties": {"x": {"$ref": "#/definitions/a%20b~1c", "description": "beside a reference"}},
        "required": ["x"],
    },
    {
        "$defs": {
            "base": {"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]},
            "left": {"allOf": [{"$ref": "#/$defs/base"}, {"required": ["left"]}]},
            "right": {"allOf": [{"$ref": "#/$defs/base"}, {"required": ["right"]}]},
        },
        "allOf": [{"$ref": "#/$defs/left"}, {"$ref": "#/$defs/right"}],
    },
    *(  # values that only one keyword makes hard to find
        {"type": "number", "multipleOf": 0.1, "minimum": 0.3, "maximum": 0.55},
        {"allOf": [{"type": "integer", "multipleOf": 6}, {"multipleOf": 4, "minimum": 13}]},
        {"type": "number", "not": {"type": "integer"}},
        {"type": "integer", "not": {"enum": list(range(-100, 100))}},
        {"not": {"type": ["string", "number", "boolean", "null"]}},
        {"type": "object", "not": {"required": ["a"]}, "properties": {"a": {"type": "string"}}},
        {"allOf": [{"pattern": "^[a-z]+$"}, {"pattern": "z$"}, {"not": {"pattern": "^a"}}], "type": "string"},
        {"type": "string", "format": "date", "pattern": "^2031"},
        {"type": "string", "pattern": "^(?=.*[A-Z])(?=.*\\d)[A-Za-z\\d]{8,}$"},
        {"type": "string", "pattern": "^(?:(?!foo).)*bar$", "minLength": 9},
        {"type": "string", "pattern": "^\\w+\\b!$"},
        {"type": "array", "contains": {"const": 7}, "minContains": 2, "maxContains": 2, "items": {"type": "integer"}},
        {"type": "array", "prefixItems": [{"type": "string"}], "contains": {"type": "null"}},
        {"type": "array", "uniqueItems": True, "minItems": 4, "items": {"type": "array", "items": {"type": "boolean"}}},
        {
            "type": "array",
            "uniqueItems": True,
            "minItems": 3,
            "items": {"type": "object", "properties": {"a": {"type": "boolean"}, "b": {"type": "boolean"}}},
        },
        {"type": "object", "propertyNames": {"pattern": "^x_\\d+$"}, "minProperties": 3},
        {
            "type": "object",
            "patternProperties": {"^n_[a-z]$": {"type": "number"}},
            "additionalProperties": False,
            "minProperties": 2,
        },
        {"type": "object", "dependentRequired": {"a": ["b"], "b": ["c"]}, "required": ["a"]},
        {"type": "object", "dependentSchemas": {"a": {"required": ["z"]}}, "required": ["a"]},
        {
            "type": "object",
            "properties": {"country": {"enum": ["US", "NL"]}, "code": {"type": "string"}},
            "required": ["country", "code"],
            "if": {"properties": {"country": {"const": "US"}}},
            "then": {"properties": {"code": {"pattern": "^\\d{5}$"}}},
            "else": {"properties": {"code": {"pattern": "^\\d{4} [A-Z]{2}$"}}},
        },
        {"allOf": [SHAPE], "properties": {"color": {"type": "string"}}, "unevaluatedProperties": False},
        {"oneOf": [{"type": "number"}, {"type": "integer"}, {"required": ["a"], "type": "object"}]},
        {
            "$anchor": "top",
            "$defs": {"leaf": {"$anchor": "end", "const": 1}, "far": {"$id": "https://example.com/far", "const": 2}},
            "type": "object",
            "properties": {"a": {"$ref": "#end"}, "b": {"$ref": "https://example.com/far"}},
            "required": ["a", "b"],
        },
        {  # below itself once more than is needed
            "$defs": {"node": NODE},
            "allOf": [{"$ref": "#/$defs/node"}, {"properties": {"next": {"type": "object"}}}],
        },
    ),
    {  # OpenAI's strict style
        "type": "object",
        "properties": {
            "steps": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {"explanation": {"type": "string"}, "unit": {"type": ["string", "null"]}},
                    "required": ["explanation", "unit"],
                    "additionalProperties": False,
                },
            },
            "final_answer": {"type": "string"},
        },
        "required": ["steps", "final_answer"],
        "additionalProperties": False,
    },
    {  # pydantic's
        "$defs": {"Unit": {"enum": ["c", "f"], "type": "string", "title": "Unit"}},
        "properties": {
            "city": {"type": "string", "title": "City"},
            "unit": {"anyOf": [{"$ref": "#/$defs/Unit"}, {"type": "null"}], "default": None},
            "days": {"type": "integer", "default": 3, "maximum": 14, "minimum": 1},
        },
        "required": ["city"],
        "title": "Weather",
        "type": "object",
    },
]
TEXTS = ["", "Set 5 and 2.5 for \"blue sky\" in Paris, days: 99, 'x' on 2026-02-31, me@site.org, 1,000 circle"]


def matches(pattern: str, text: str) -> bool:
    return Language((pattern,), (), Budget(1_000_000)).has(text)


@pytest.mark.parametrize("schema", SCHEMAS, ids=repr)
@pytest.mark.parametrize("text", TEXTS, ids=["no text", "text"])
def test_value_is_valid(schema: Any, text: str) -> None:
    value = example(schema, text=text)
    with warnings.catch_warnings(action="ignore", category=FutureWarning):  # Python's, for the pattern "[[a]"
        if "\\p" not in str(schema):  # which the judge does not understand
            Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(value)
    assert example(schema, text=text) == value


@pytest.mark.parametrize(
    "schema",
    [
        False,
        {"enum": []},
        {"type": "integer", "minimum": 3, "maximum": 2},
        {"$ref": "#"},
        {"$ref": "#/$defs/nowhere"},
        {"$ref": "https://example.com/schema"},
        {"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]},
        {"type": "array", "minItems": 10**9, "items": {"type": "integer"}},
        {"type": "object", "minProperties": 10**9},
        {"type": "string", "minLength": 10**9},
        {"type": "string", "pattern": "((a{1000}){1000}){1000}"},
        {"type": "integer", "minimum": float("inf")},
        {"type": 5},
        {"type": "object", "properties": [1]},
        {"required": 5},
        {"type": "string", "pattern": "(["},
        {"type": "string", "pattern": r"^(.)\1$"},
        {"type": "string", "pattern": "^[a-z]+$", "allOf": [{"pattern": "[0-9]"}]},
        {"type": "object", "properties": {"a": {"type": "float"}}, "required": ["a"]},
        {"allOf": [{"oneOf": [{"const": n}, {"const": -n}]} for n in range(1, 40)]},
        {"enum": list(range(9)), "allOf": [{"not": {"const": n}} for n in range(9)]},
        "string",
        None,
    ],
    ids=repr,
)
def test_unsatisfiable_or_malformed_schema(schema: Any) -> None:
    with pytest.raises(UnsatisfiableError):
        example(schema)


def test_schema_that_doubles_ends_soon() -> None:
    deeper = {f"n{n}": {"items": {"$ref": f"#/$defs/n{n + 1}"}, "minItems": 2} for n in range(40)}
    started = time.monotonic()
    with pytest.raises(UnsatisfiableError):
        example({"$ref": "#/$defs/n0", "$defs": {**deeper, "n40": {"type": "null"}}})
    oneof = {f"n{n}": {"oneOf": [{"$ref": f"#/$defs/n{n + 1}"}] * 2} for n in range(40)}
    with pytest.raises(UnsatisfiableError):
        example({"$ref": "#/$defs/n0", "$defs": {**oneof, "n40": {"type": "null"}}})
    assert time.monotonic() - started < 20


def test_deeply_nested_schema() -> None:
    schema: Any = {"type": "null"}
    for _ in range(2000):
        schema = {"type": "array", "items": schema, "minItems": 1}
    with pytest.raises(UnsatisfiableError):
        example(schema)


@pytest.mark.parametrize(
    ("properties", "text", "expected"),
    [
        ({"city": "string"}, "What's the weather in Paris?", {"city": "Paris"}),
        ({"location": "string"}, "Weather for San Francisco, CA please", {"location": "San Francisco, CA"}),
        ({"symbol": "string"}, "get the stock price of AAPL!", {"symbol": "AAPL"}),
        ({"city": "string"}, "Wetter in Zürich", {"city": "Zürich"}),
        ({"a": "number", "b": "number"}, "add 2 and 3.5", {"a": 2, "b": 3.5}),
        ({"days": "integer", "limit": "integer"}, "the first 10 for 5 days", {"days": 5, "limit": 10}),
        ({"max_price": "integer"}, "between 3 and a max price of 1,200 dollars", {"max_price": 1200}),
        ({"title": "string"}, 'Make a note "Buy milk" today', {"title": "Buy milk"}),
        ({"name": "string"}, "It's here. name: Bob", {"name": "Bob"}),
        ({"query": "string"}, "who wrote this?", {"query": "who wrote this?"}),
        ({"temperature": "number"}, 'weather answered: {"temperature": 22}', {"temperature": 22}),
        ({"city": "string"}, "nothing of use", {"city": "example city"}),
    ],
)
def test_values_taken_from_the_text(properties: dict[str, str], text: str, expected: dict[str, Any]) -> None:
    schema = {"type": "object", "properties": {name: {"type": kind} for name, kind in properties.items()}}
    assert example({**schema, "required": list(properties)}, text=text) == expected


def test_enum_value_taken_from_the_text() -> None:
    unit = {"type": "string", "enum": ["celsius", "fahrenheit", "light_year"], "default": "celsius"}
    assert example(unit, text="in Fahrenheit") == "fahrenheit"
    assert example(unit, text="one light year") == "light_year"
    assert example(unit, text="one") == "celsius"


def test_formats_taken_from_the_text() -> None:
    assert example({"type": "string", "format": "email"}, text="to ann.b@site.org.") == "ann.b@site.org"
    assert example({"type": "string", "format": "date"}, text="2026-02-31 or 2026-03-01") == "2026-03-01"


def test_arrays_take_what_the_text_offers() -> None:
    numbers = {"type": "array", "items": {"type": "number"}}
    assert example(numbers, text="the sum of 1, 2 and 3") == [1, 2, 3]
    assert example({**numbers, "maxItems": 2}, text="the sum of 1, 2 and 3") == [1, 2]


def test_optional_properties_are_given_where_simple() -> None:
    child = {"type": "object", "properties": {"n": {"type": "integer"}}}
    schema = {"type": "object", "properties": {"child": child, "unit": {"enum": ["c"]}, "id": {"type": "integer"}}}
    assert example({**schema, "required": ["id"]}) == {"unit": "c", "id": 1}


@pytest.mark.parametrize("pattern", ["^(a+)+$", "^(a|a)*$", "^(a*)*b", "^(a|aa)+$", "^a*a*a*a*a*a*b"])
def test_no_pattern_takes_for_ever(pattern: str) -> None:
    assert not matches(pattern, "a" * 5000 + "!")


def test_other_patterns_are_tried() -> None:
    assert matches(r"^\d{4}-\d{2}$", "2026-11")
    assert not matches(r"^\d{4}-\d{2}$", "2026-1")
    assert matches("^(ab)+$", "ab" * 8)
    assert matches("[a-z]+@[a-z]+", "me@here")


def test_older_drafts_and_openapi() -> None:
    tuple_ = {"items": [{"type": "integer"}, {"type": "string"}], "additionalItems": False, "type": "array"}
    Draft7Validator(tuple_ | {"minItems": 2}).validate(example(tuple_ | {"minItems": 2}))
    needs = {"dependencies": {"a": ["b"], "b": {"required": ["c"]}}, "required": ["a"], "type": "object"}
    Draft7Validator(needs).validate(example(needs))
    assert example({"type": "integer", "minimum": 5, "exclusiveMinimum": True}) == 6
    below = {"type": "object", "properties": {"next": {"$ref": "#", "nullable": True}}, "required": ["next"]}
    assert example(below) == {"next": None}


def test_steps_are_exact() -> None:
    for only in (0.3, 0.7, 1.1, 1e-7):
        bounds = {"minimum": only, "maximum": only}
        assert example({"type": "number", "multipleOf": only if only < 1e-6 else 0.1, **bounds}) == only
    with pytest.raises(UnsatisfiableError):
        example({"type": "number", "multipleOf": 0.1, "minimum": 0.31, "maximum": 0.39})


def test_the_error_says_where() -> None:
    inner = {"type": "object", "properties": {"size": {"type": "integer", "minimum": 3, "maximum": 2}}}
    schema = {"type": "object", "properties": {"box": inner | {"required": ["size"]}}, "required": ["box"]}
    with pytest.raises(UnsatisfiableError, match="it allows none at its top, in 'box', in 'size'"):
        example(schema)
    with pytest.raises(UnsatisfiableError, match="is not understood"):
        example({"type": "string", "pattern": r"^(.)\1$"})


@pytest.mark.parametrize(
    "pattern", [r"\bfoo\b", r"^(?!-)[a-z-]{1,5}(?<!-)$", r"(?i)^aB?c$", r"^((?!foo).)*$", r"\B-\B", "a|^$"]
)
def test_strings_are_those_that_python_finds_a_match_in(pattern: str) -> None:
    language = Language((pattern,), (), Budget(1_000_000))
    for text in ("", "foo", "a foo!", "foot", "-a", "a-b", "a-", "ABC", "ac", "a foo b", "--", "- -", "barfoo"):
        assert language.has(text) == (re.search(pattern, text) is not None), text
    for text in islice(language.strings(0, 9), 200):
        assert re.search(pattern, text), text
