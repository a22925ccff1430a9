"""Whether a value is valid for a JSON Schema of draft 2020-12."""

import math
from collections.abc import Callable, Iterator
from typing import Any

from understudy.chat_models.json_schema.document import Document, JSONSchema, modern
from understudy.chat_models.json_schema.numbers import is_multiple
from understudy.chat_models.json_schema.words import FORMATS

KINDS: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "null": type(None),
    "array": list,
    "object": dict,
}


def identity(value: Any) -> Any:
    """Equal for values that JSON Schema holds to be equal: 1 and 1.0 are, 1 and true are not."""
    match value:
        case bool():
            return ("boolean", value)
        case list():
            return ("array", *map(identity, value))
        case dict():
            return ("object", frozenset((key, identity(part)) for key, part in value.items()))
    return value


def listed(kind: Any) -> list[str]:
    """`type` as a list."""
    return kind if isinstance(kind, list) else [kind]


def is_kind(value: Any, kind: str) -> bool:
    """Whether the value is of a type."""
    if isinstance(value, bool):
        return kind == "boolean"
    whole = kind == "integer" and isinstance(value, float) and value.is_integer()
    return isinstance(value, KINDS[kind]) or whole


class Validity:
    """The judge of a document's values. A malformed schema breaks it in any way."""

    def __init__(self, document: Document) -> None:
        self._document = document

    def holds(self, value: Any, schema: JSONSchema) -> bool:
        """Whether the value is valid for the schema, a part of the document."""
        self._document.budget.spend()
        if isinstance(schema, bool):
            return schema
        schema = modern(schema)
        self._document.budget.spend(len(schema.get("enum", ())) // 20)
        return self._combined(value, schema) and self._of_its_kind(value, schema)

    def _combined(self, value: Any, schema: dict[str, Any]) -> bool:
        return (
            ("$ref" not in schema or self.holds(value, self._document.referred(schema["$ref"])))
            and ("type" not in schema or any(is_kind(value, kind) for kind in listed(schema["type"])))
            and ("enum" not in schema or identity(value) in map(identity, schema["enum"]))
            and ("const" not in schema or identity(value) == identity(schema["const"]))
            and all(self.holds(value, part) for part in schema.get("allOf", ()))
            and ("anyOf" not in schema or any(self.holds(value, part) for part in schema["anyOf"]))
            and ("oneOf" not in schema or sum(self.holds(value, part) for part in schema["oneOf"]) == 1)
            and ("not" not in schema or not self.holds(value, schema["not"]))
            and ("if" not in schema or self.holds(value, schema.get(self._branch(value, schema), True)))
        )

    def _branch(self, value: Any, schema: dict[str, Any]) -> str:
        return "then" if self.holds(value, schema["if"]) else "else"

    def _of_its_kind(self, value: Any, schema: dict[str, Any]) -> bool:
        match value:
            case bool() | None:
                return True
            case dict():
                return self._object(value, schema)
            case list():
                return self._array(value, schema)
            case str():
                return self._string(value, schema)
        return _number(value, schema)

    def _string(self, value: str, schema: dict[str, Any]) -> bool:
        # A format is a hint only where the values themselves are given.
        form = None if {"enum", "const"} & schema.keys() else FORMATS.get(str(schema.get("format")))
        return (
            _counted(len(value), schema, "Length")
            and ("pattern" not in schema or self._document.matches(schema["pattern"], value))
            and (form is None or self._document.matches(form.whole, value))
        )

    def _object(self, value: dict[str, Any], schema: dict[str, Any]) -> bool:
        return (
            _counted(len(value), schema, "Properties")
            and all(key in value for key in schema.get("required", ()))
            and all(
                needed in value
                for key, all_needed in schema.get("dependentRequired", {}).items()
                if key in value
                for needed in all_needed
            )
            and all(self.holds(value, part) for key, part in schema.get("dependentSchemas", {}).items() if key in value)
            and all(self.holds(key, schema.get("propertyNames", True)) for key in value)
            and all(self.holds(value[key], part) for key in value for part in self.parts(key, schema))
            and self._all_evaluated(value, value, schema, "unevaluatedProperties", self._evaluated_keys)
        )

    def parts(self, key: str, schema: dict[str, Any]) -> list[JSONSchema]:
        """What an object's schema asks of the value under `key`."""
        properties, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
        parts = [properties[key]] if key in properties else []
        parts += [part for pattern, part in patterns.items() if self._document.matches(pattern, key)]
        if not parts and "additionalProperties" in schema:
            parts.append(schema["additionalProperties"])
        return parts

    def _array(self, value: list[Any], schema: dict[str, Any]) -> bool:
        prefix, items = schema.get("prefixItems", []), schema.get("items", True)
        identities = [identity(part) for part in value] if schema.get("uniqueItems") else []
        return (
            _counted(len(value), schema, "Items")
            and len(set(identities)) == len(identities)
            and all(self.holds(part, prefix[n] if n < len(prefix) else items) for n, part in enumerate(value))
            and ("contains" not in schema or self._contains(value, schema))
            and self._all_evaluated(value, range(len(value)), schema, "unevaluatedItems", self._evaluated_indexes)
        )

    def _contains(self, value: list[Any], schema: dict[str, Any]) -> bool:
        found = sum(self.holds(part, schema["contains"]) for part in value)
        return bool(schema.get("minContains", 1) <= found <= schema.get("maxContains", math.inf))

    def _all_evaluated(
        self, value: Any, places: Any, schema: dict[str, Any], keyword: str, evaluated: Callable[..., Iterator[Any]]
    ) -> bool:
        if keyword not in schema:
            return True
        looked_at = set(evaluated(value, {key: part for key, part in schema.items() if key != keyword}))
        return all(self.holds(value[place], schema[keyword]) for place in places if place not in looked_at)

    def _evaluated_keys(self, value: Any, schema: JSONSchema) -> Iterator[str]:
        for part in self._in_place(value, schema):
            if "unevaluatedProperties" in part:
                yield from value
            yield from (key for key in value if self.parts(key, part))

    def _evaluated_indexes(self, value: Any, schema: JSONSchema) -> Iterator[int]:
        for part in self._in_place(value, schema):
            count = len(value) if {"items", "unevaluatedItems"} & part.keys() else len(part.get("prefixItems", ()))
            yield from range(count)
            if "contains" in part:
                yield from (n for n, one in enumerate(value) if self.holds(one, part["contains"]))

    def _in_place(self, value: Any, schema: JSONSchema) -> Iterator[dict[str, Any]]:
        """The schema and those within it that are about the same value, as far as it is valid for them."""
        self._document.budget.spend()
        if isinstance(schema, bool):
            return
        schema = modern(schema)
        yield schema
        inner = [*schema.get("allOf", ()), *schema.get("anyOf", ()), *schema.get("oneOf", ())]
        inner += [part for key, part in schema.get("dependentSchemas", {}).items() if key in value]
        if "$ref" in schema:
            inner.append(self._document.referred(schema["$ref"]))
        if "if" in schema:
            inner += [schema["if"], schema.get(self._branch(value, schema), True)]
        for part in inner:
            if self.holds(value, part):
                yield from self._in_place(value, part)


def _counted(size: int, schema: dict[str, Any], what: str) -> bool:
    return bool(schema.get(f"min{what}", 0) <= size <= schema.get(f"max{what}", math.inf))


def _number(value: float, schema: dict[str, Any]) -> bool:
    return bool(
        schema.get("minimum", -math.inf) <= value <= schema.get("maximum", math.inf)
        and not ("exclusiveMinimum" in schema and value <= schema["exclusiveMinimum"])
        and not ("exclusiveMaximum" in schema and value >= schema["exclusiveMaximum"])
        and ("multipleOf" not in schema or is_multiple(value, schema["multipleOf"]))
    )
