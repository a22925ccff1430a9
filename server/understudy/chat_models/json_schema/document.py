"""A JSON Schema document: where its references lead, what its older keywords mean now, its patterns."""

from typing import Any
from urllib.parse import unquote, urljoin

from understudy.chat_models.json_schema.budget import Budget, UnsatisfiableError
from understudy.chat_models.json_schema.pattern import Language

JSONSchema = Any
"""An object or a boolean, as a client sent it: perhaps malformed."""


class Document:
    """One document. References into others are not followed."""

    def __init__(self, root: JSONSchema, budget: Budget) -> None:
        self.root = root
        self.budget = budget
        self._named: dict[str, JSONSchema] | None = None
        self._languages: dict[tuple[tuple[str, ...], tuple[str, ...]], Language] = {}

    def referred(self, reference: str) -> JSONSchema:
        """Raises UnsatisfiableError, LookupError or TypeError where the reference leads nowhere."""
        self.budget.spend()
        if reference == "#" or reference.startswith("#/"):
            return _pointed(self.root, reference[1:])
        if self._named is None:
            self._named = {}
            self._name(self.root, "")
        if reference in self._named:
            return self._named[reference]
        document, _, pointer = reference.partition("#")
        if document in self._named:
            return _pointed(self._named[document], pointer)
        raise UnsatisfiableError(f"{reference} leads out of the document")

    def _name(self, schema: Any, base: str) -> None:
        """Note the `$id`s and anchors in a schema, under all the names that it may be called by."""
        assert self._named is not None
        self.budget.spend()
        for part in schema.values() if isinstance(schema, dict) else schema:
            if isinstance(part, dict | list):
                self._name(part, base)
        if not isinstance(schema, dict):
            return
        own = schema.get("$id", schema.get("id"))
        if isinstance(own, str):
            for name in (own, urljoin(base, own), own.rpartition("/")[2]):
                self._named.setdefault(name, schema)
        for key in ("$anchor", "$dynamicAnchor"):
            if isinstance(schema.get(key), str):
                self._named.setdefault("#" + schema[key], schema)

    def language(self, wanted: tuple[str, ...], unwanted: tuple[str, ...] = ()) -> Language:
        """The strings that match the patterns."""
        key = (wanted, unwanted)
        if key not in self._languages:
            self._languages[key] = Language(wanted, unwanted, self.budget)
        return self._languages[key]

    def matches(self, pattern: str, text: str) -> bool:
        """Whether the text has a match of the pattern."""
        return self.language((pattern,)).has(text)


def _pointed(target: Any, pointer: str) -> JSONSchema:
    for key in unquote(pointer).split("/")[1:]:
        key = key.replace("~1", "/").replace("~0", "~")
        target = target[int(key)] if isinstance(target, list) else target[key]
    return target


def modern(schema: JSONSchema) -> JSONSchema:
    """The schema in the words of draft 2020-12."""
    if not isinstance(schema, dict):
        return schema
    for key, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if isinstance(schema.get(key), bool):  # draft 4
            schema = _without(schema, key) | ({key: schema[bound]} if schema[key] and bound in schema else {})
    if isinstance(schema.get("items"), list):  # draft 7
        rest = {"items": schema["additionalItems"]} if "additionalItems" in schema else {}
        schema = _without(schema, "items", "additionalItems") | {"prefixItems": schema["items"]} | rest
    if "dependencies" in schema:  # draft 7
        both: dict[str, dict[str, Any]] = {"dependentRequired": {}, "dependentSchemas": {}}
        for key, needs in schema["dependencies"].items():
            both["dependentRequired" if isinstance(needs, list) else "dependentSchemas"][key] = needs
        schema = _without(schema, "dependencies") | both
    if "$dynamicRef" in schema:
        schema = _without(schema, "$dynamicRef") | {"$ref": schema["$dynamicRef"]}
    if "$recursiveRef" in schema:  # draft 2019-09
        schema = _without(schema, "$recursiveRef") | {"$ref": schema["$recursiveRef"]}
    if schema.get("nullable") is True:  # OpenAPI 3.0
        schema = {"anyOf": [_without(schema, "nullable"), {"type": "null"}]}
    return schema


def _without(schema: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in schema.items() if key not in keys}
