"""What plain schemas, those without references and combinations, ask of a value together."""

import math
from typing import Any

from understudy.chat_models.json_schema.document import JSONSchema
from understudy.chat_models.json_schema.validity import KINDS, identity, listed

# The keywords that tell a type where none is named.
_TELLING = {
    "object": {"properties", "required", "additionalProperties", "patternProperties", "minProperties"},
    "array": {"items", "prefixItems", "minItems", "contains", "uniqueItems"},
    "number": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"},
    "string": {"pattern", "minLength", "maxLength", "format"},
}
Plain = dict[str, Any]
"""Its `not`, if it has one, excludes values or a pattern."""


def kinds_of(schemas: list[Plain]) -> list[str]:
    """The types to try: those that the keywords tell before all others, null last."""
    kinds = list(KINDS)
    for schema in schemas:
        if "type" in schema:
            named = listed(schema["type"])
            named = [*named, "integer"] if "number" in named else named
            kinds = [kind for kind in kinds if kind in named]
    if "number" in kinds:
        kinds.remove("integer")
    keywords = {keyword for schema in schemas for keyword in schema}
    told = {kind for kind, telling in _TELLING.items() if telling & keywords}
    return sorted(kinds, key=lambda kind: (kind == "null", kind not in told))


def choices_of(schemas: list[Plain]) -> list[Any] | None:
    """The values that are given, None where none are."""
    choices: list[Any] | None = None
    lists = [schema["enum"] for schema in schemas if "enum" in schema]
    for given in lists + [[schema["const"]] for schema in schemas if "const" in schema]:
        identities = set(map(identity, given))
        choices = list(given) if choices is None else [one for one in choices if identity(one) in identities]
    return choices


def is_excluding(schema: Plain) -> bool:
    """Whether its `not` has one keyword only, and no further schemas."""
    excluded = schema.get("not")
    return isinstance(excluded, dict) and len(excluded) == 1 and not {"enum", "const", "pattern"}.isdisjoint(excluded)


def excluded_by(schemas: list[Plain]) -> set[Any]:
    """Identities of the values that are excluded."""
    excluded = [schema["not"] for schema in schemas if "not" in schema]
    values = [value for one in excluded for value in one.get("enum", ())]
    return set(map(identity, values + [one["const"] for one in excluded if "const" in one]))


def at_least(schemas: list[Plain], keyword: str) -> int:
    """The highest of the bounds `min…`."""
    return max((math.ceil(schema.get(keyword, 0)) for schema in schemas), default=0)


def at_most(schemas: list[Plain], keyword: str) -> float:
    """The lowest of the bounds `max…`."""
    return min((schema.get(keyword, math.inf) for schema in schemas), default=math.inf)


def required_of(schemas: list[Plain]) -> list[str]:
    """The properties that have to be there, with those that these demand."""
    required = dict.fromkeys(key for schema in schemas for key in schema.get("required", ()))
    demands = [schema["dependentRequired"] for schema in schemas if "dependentRequired" in schema]
    waiting = list(required)
    while waiting:
        key = waiting.pop(0)
        for needed in (needed for demand in demands for needed in demand.get(key, ())):
            if needed not in required:
                required[needed] = None
                waiting.append(needed)
    return list(required)


def item_of(schemas: list[Plain], n: int) -> list[JSONSchema]:
    """What the schemas ask of an array's item at `n`."""
    parts = []
    for schema in schemas:
        prefix = schema.get("prefixItems", [])
        parts.append(prefix[n] if n < len(prefix) else schema.get("items", True))
    return parts


def is_simple(schema: JSONSchema) -> bool:
    """Whether an optional property of this schema is worth giving: one plain value, nothing nested."""
    if not isinstance(schema, dict):
        return False
    if options := schema.get("anyOf") or schema.get("oneOf"):
        return all(map(is_simple, options))
    kinds = listed(schema.get("type", "object"))
    return bool({"enum", "const"} & schema.keys()) or not {"object", "array"} & set(kinds)
