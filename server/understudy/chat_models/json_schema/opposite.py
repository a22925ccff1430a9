"""What a schema excludes, said as schemas that ask for it."""

from collections.abc import Iterator
from typing import Any

from understudy.chat_models.json_schema.document import Document, JSONSchema, modern
from understudy.chat_models.json_schema.validity import KINDS, listed

# A value breaks the bound where it has the opposite one, moved by so much.
_BOUNDS = {
    "minimum": ("number", "exclusiveMaximum", 0),
    "maximum": ("number", "exclusiveMinimum", 0),
    "exclusiveMinimum": ("number", "maximum", 0),
    "exclusiveMaximum": ("number", "minimum", 0),
    "minLength": ("string", "maxLength", -1),
    "maxLength": ("string", "minLength", 1),
    "minItems": ("array", "maxItems", -1),
    "maxItems": ("array", "minItems", 1),
    "minProperties": ("object", "maxProperties", -1),
    "maxProperties": ("object", "minProperties", 1),
}


def opposites(schema: JSONSchema, document: Document) -> Iterator[JSONSchema]:
    """Schemas, each of which excludes what `schema` allows; not every value that it excludes is allowed by one."""
    document.budget.spend()
    if isinstance(schema, bool):
        yield not schema
        return
    schema = modern(schema)
    if "$ref" in schema:
        yield {"not": document.referred(schema["$ref"])}
    if "not" in schema:
        yield schema["not"]
    if "anyOf" in schema:
        yield {"allOf": [{"not": part} for part in schema["anyOf"]]}
    if "oneOf" in schema:
        yield {"allOf": [{"not": part} for part in schema["oneOf"]]}
        yield {"allOf": schema["oneOf"][:2]}
    yield from ({"not": part} for part in schema.get("allOf", ()))
    if "if" in schema:
        yield {"allOf": [schema["if"], {"not": schema.get("then", True)}]}
        yield {"allOf": [{"not": schema["if"]}, {"not": schema.get("else", True)}]}
    yield from _of_values(schema)
    yield from _of_parts(schema)


def _of_values(schema: dict[str, Any]) -> Iterator[JSONSchema]:
    if "type" in schema:
        kinds = listed(schema["type"])
        # An integer is a number, a number may be none.
        out = {"integer"} if "number" in kinds else {"number"} if "integer" in kinds else set()
        yield {"type": [kind for kind in KINDS if kind not in kinds and kind not in out]}
        if "integer" in kinds:
            yield {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}
    for key in ("enum", "const"):
        if key in schema:
            yield {"not": {key: schema[key]}}
    for key, (kind, opposite, by) in _BOUNDS.items():
        if key in schema and schema[key] + by >= (0 if by else schema[key]):
            yield {"type": kind, opposite: schema[key] + by}
    if "pattern" in schema:
        yield {"type": "string", "not": {"pattern": schema["pattern"]}}


def _of_parts(schema: dict[str, Any]) -> Iterator[JSONSchema]:
    """One part that is missing, or wrong."""
    for key in schema.get("required", ()):
        yield {"type": "object", "properties": {key: False}}
    for key, part in schema.get("properties", {}).items():
        yield {"type": "object", "properties": {key: {"not": part}}, "required": [key]}
    for n, part in enumerate(schema.get("prefixItems", ())):
        yield {"type": "array", "prefixItems": [True] * n + [{"not": part}], "minItems": n + 1}
    if "items" in schema and "prefixItems" not in schema:
        yield {"type": "array", "contains": {"not": schema["items"]}}
    if "contains" in schema and schema.get("minContains", 1) > 0:
        yield {"type": "array", "items": {"not": schema["contains"]}}
