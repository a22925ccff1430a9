"""`python -m tests.contract.compare_openapi SPEC.json`: what our document lacks of a given one; exit 1 if there is any.

A request must be allowed whatever the given document allows; an answer must have all its fields, with no value that it
does not know. `DIFFERENCES` says what differs on purpose. A row of it that no longer holds is an error, too.
"""

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from understudy.app import create_app
from understudy.settings import Settings

JSON = dict[str, Any]
Way = Literal["request", "answer", "tag"]

DIFFERENCES = {
    "CreateMessageRequest.attachments[].*: required": "the hosted API refused an attachment without them",
    "SubmitToolOutputsRunRequest.tool_outputs[].tool_call_id: required": "an output without it answers no call",
    "Create*RunRequest.max_*_tokens: minimum 1.0, not 256": "the hosted API accepted 16",
    "*.file_search.vector_stores[].file_ids: maxItems 10000, not 100000000": "so many as a store was sure to take",
    "List*Response.*_id: null": "the wire's null on an empty page",
    "RunObject.instructions: null": "the wire's null where neither assistant nor run has any",
    "VectorStoreObject.name: null": "the wire's null",
    "VectorStoreObject.expires_after: null": "the wire's null",
    "OpenAIFile.expires_at: null": "the wire's null",
    "OpenAIFile.status_details: null": "the wire's null",
    "OpenAIFile.purpose: 'evals'": "it can be uploaded, by the same document",
    "OpenAIFile.purpose: no 'batch_output'": "no batches are run here",
    "OpenAIFile.purpose: no 'fine-tune-results'": "nothing is fine-tuned here",
    "Model.shutdown_date: missing": "no model that is served here has one",
    "OtherChunkingStrategyResponseParam.type: no 'other'": "of every file here it is known how it was cut",
    "downloadFile answer: no application/json": "the bytes of any file, not JSON",
    "Error.*: missing": "on the wire a stream's error event has the body of any other error, {error: {…}}",
    "ThreadStreamEvent.enabled: missing": "never on the wire",
    "MessageDeltaObject.delta.role: missing": "never on the wire",
    "MessageDeltaContentImageFileObject.image_file.detail: missing": "only the stored image has it",
    "MessageDeltaContentImageUrlObject: missing": "no assistant writes an image's URL",
    "RunStepDeltaStepDetailsMessageCreationObject.*": "never on the wire: the step has its message from the start",
}
"""Findings, `*` standing for any text, and why each is right."""

_METHODS = ("get", "post", "delete", "put", "patch")
_BOUNDS = {
    "number": ("minimum", "maximum"),
    "string": ("minLength", "maxLength"),
    "array": ("minItems", "maxItems"),
    "object": ("maxProperties",),
}
_BOUNDED = ("integer", "number", "string")
_TAGS = ("event", "type")
_NAMED = {"AssistantStreamEvent": "StreamEvent"}


def our_document() -> JSON:
    """What GET /openapi.json answers."""
    return create_app(Settings()).openapi()


@dataclass(frozen=True)
class Kind:
    """A schema without references: its alternatives by JSON type, objects with the names of their components."""

    objects: list[tuple[str, JSON]]
    arrays: list[JSON]
    scalars: dict[str, JSON]
    values: frozenset[str] | None
    """The strings that are allowed; None where any is."""

    @property
    def bounded(self) -> dict[str, JSON]:
        """The alternatives that can have bounds, where there is one of its type."""
        found = {"number" if name == "integer" else name: one for name, one in self.scalars.items() if name in _BOUNDED}
        found |= {"array": self.arrays[0]} if len(self.arrays) == 1 else {}
        return found | ({"object": self.objects[0][1]} if len(self.objects) == 1 else {})

    @property
    def types(self) -> set[str]:
        """All JSON types that are allowed."""
        found = set(self.scalars)
        return found | ({"object"} if self.objects else set()) | ({"array"} if self.arrays else set())


@dataclass
class Comparison:
    """Finds what `ours` lacks of `spec`."""

    spec: JSON
    ours: JSON
    findings: set[str] = field(default_factory=set)
    _compared: set[tuple[int, int, Way]] = field(default_factory=set)

    def compare(self) -> set[str]:
        """All findings, each once."""
        ours = {(path.removeprefix("/v1"), method): operation for path, method, operation in _operations(self.ours)}
        for path, method, operation in _operations(self.spec):
            if (path, method) not in ours:
                self.findings.add(f"{method.upper()} {path}: missing")
            else:
                self._operation(operation, ours[path, method])
        for spec_name, our_name in _NAMED.items():
            spec, renamed = ({"$ref": f"#/components/schemas/{name}"} for name in (spec_name, our_name))
            self._schema(spec_name, spec, renamed, "answer")
        return self.findings

    def _operation(self, spec: JSON, ours: JSON) -> None:
        name = spec["operationId"]
        if ours["operationId"] != name:
            self.findings.add(f"{name}: the operationId is {ours['operationId']}")
        our_parameters = {(one["in"], one["name"]): one for one in ours.get("parameters", [])}
        for parameter in spec.get("parameters", []):
            where = f"{name}?{parameter['name']}"
            found = our_parameters.get((parameter["in"], parameter["name"]))
            if found is None:
                self.findings.add(f"{where}: missing")
                continue
            if found.get("required") and not parameter.get("required"):
                self.findings.add(f"{where}: required")
            if parameter["schema"].get("default") != found["schema"].get("default"):
                self.findings.add(f"{where}: default")
            self._schema(where, parameter["schema"], found["schema"], "request")
        self._content(f"{name} request", spec.get("requestBody", {}), ours.get("requestBody", {}), "request")
        self._content(f"{name} answer", spec["responses"]["200"], ours["responses"]["200"], "answer")

    def _content(self, where: str, spec: JSON, ours: JSON, way: Way) -> None:
        for media_type, content in spec.get("content", {}).items():
            if media_type not in ours.get("content", {}):
                self.findings.add(f"{where}: no {media_type}")
            else:
                self._schema(where, content["schema"], ours["content"][media_type]["schema"], way)

    def _schema(self, where: str, spec: JSON, ours: JSON, way: Way) -> None:
        left, right = _kind(spec, self.spec), _kind(ours, self.ours)
        self._types(where, left, right, way)
        self._values(where, left.values, right.values, way)
        if way == "request":
            self._bounds(where, left, right)
        for name, one in left.objects:
            found = self._counterpart(one, right.objects)
            if found is not None:
                self._object(name or where, one, found, way)
            elif right.objects:
                self.findings.add(f"{name or where}: missing")
        for one in left.arrays:
            if right.arrays and "items" in one:
                self._schema(f"{where}[]", one["items"], right.arrays[0].get("items", {}), way)

    def _types(self, where: str, left: Kind, right: Kind, way: Way) -> None:
        missing, extra = left.types - right.types, right.types - left.types
        if "number" in right.types:
            missing.discard("integer")
        if "number" in left.types:
            extra.discard("integer")
        unwanted = missing if way == "request" else extra | (missing - {"null"})
        for one in sorted(unwanted):
            self.findings.add(f"{where}: {'no ' if one in missing else ''}{one}")

    def _values(self, where: str, left: frozenset[str] | None, right: frozenset[str] | None, way: Way) -> None:
        if left is None and right is None:
            return
        if left is None or right is None:
            if way == ("request" if left is None else "answer"):
                self.findings.add(f"{where}: {'not any string' if left is None else 'any string'}")
            return
        for one in sorted(left - right):
            self.findings.add(f"{where}: no '{one}'")
        for one in sorted(right - left if way == "answer" else ()):
            self.findings.add(f"{where}: '{one}'")

    def _bounds(self, where: str, left: Kind, right: Kind) -> None:
        """The bounds that the given document has; more of them, as the hosted API had, are no finding."""
        for name, spec in left.bounded.items():
            for bound in _BOUNDS[name]:
                ours = right.bounded.get(name, {}).get(bound)
                if bound in spec and ours != spec[bound]:
                    self.findings.add(f"{where}: {bound} {ours}, not {spec[bound]}")

    def _object(self, where: str, spec: JSON, ours: JSON, way: Way) -> None:
        if (id(spec), id(ours), way) in self._compared:
            return
        self._compared.add((id(spec), id(ours), way))
        our_fields = _fields(ours)
        for name, schema in _fields(spec).items():
            if name not in our_fields:
                if ours.get("additionalProperties") is not True:
                    self.findings.add(f"{where}.{name}: missing")
            else:
                # One of our alternatives may stand for several of theirs.
                self._schema(f"{where}.{name}", schema, our_fields[name], "tag" if name in _TAGS else way)
        wanted, given = (ours, spec) if way == "request" else (spec, ours)
        for name in sorted(set(wanted.get("required", [])) - set(given.get("required", []))):
            if way == "request" or name in our_fields:
                self.findings.add(f"{where}.{name}: {'required' if way == 'request' else 'not always there'}")
        values, our_values = spec.get("additionalProperties"), ours.get("additionalProperties")
        if isinstance(values, dict) and isinstance(our_values, dict):
            self._schema(f"{where}.*", values, our_values, way)

    def _counterpart(self, spec: JSON, candidates: list[tuple[str, JSON]]) -> JSON | None:
        """The one of our alternatives that is meant: that of the same `type` or `event`, where there are several."""
        if len(candidates) == 1 or not set(_TAGS) & {*_fields(spec)}:
            return max(
                (one for _, one in candidates), key=lambda one: len({*_fields(spec)} & {*_fields(one)}), default=None
            )
        for _, ours in candidates:
            for tag in _TAGS:
                if tag in _fields(spec) and tag in _fields(ours):
                    wanted, have = (
                        _kind(_fields(spec)[tag], self.spec).values,
                        _kind(_fields(ours)[tag], self.ours).values,
                    )
                    if wanted and have and wanted & have:
                        return ours
        return None


def _operations(document: JSON) -> Iterator[tuple[str, str, JSON]]:
    for path, item in document["paths"].items():
        yield from ((path, method, item[method]) for method in _METHODS if method in item)


def _alternatives(schema: JSON, document: JSON, name: str = "") -> Iterator[tuple[str, JSON]]:
    """The schema's alternatives without references and unions, each with the name of its component."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        yield from _alternatives(document["components"]["schemas"][name], document, name)
        return
    # A union of nothing but `required` constrains an object, and is no alternative.
    kinds = {"type", "$ref", "anyOf", "oneOf", "const"}
    union = [one for one in (schema.get("anyOf") or schema.get("oneOf") or []) if kinds & {*one}]
    if not union:
        yield name, schema
    for one in union:
        yield from _alternatives(one, document, name)


def _kind(schema: JSON, document: JSON) -> Kind:
    objects: list[tuple[str, JSON]] = []
    arrays: list[JSON] = []
    scalars: dict[str, JSON] = {}
    values: frozenset[str] | None = frozenset()
    for component, one in _alternatives(schema, document):
        types = one.get("type", "object" if "properties" in one else [])
        for name in types if isinstance(types, list) else [types]:
            if name == "object":
                objects.append((component, one))
            elif name == "array":
                arrays.append(one)
            else:
                scalars[name] = scalars.get(name, {}) | one
            if name == "string":
                given = frozenset([one["const"]] if "const" in one else one.get("enum", []))
                values = None if not given or values is None else values | given
    return Kind(objects, arrays, scalars, values)


def _fields(schema: JSON) -> JSON:
    fields: JSON = schema.get("properties", {})
    return fields


def differences(spec: JSON, ours: JSON) -> tuple[set[str], set[str]]:
    """What differs without being on purpose, and the rows of `DIFFERENCES` that no longer hold."""
    found = Comparison(spec, ours).compare()
    rows = {row: re.compile(re.escape(row).replace(r"\*", ".*")) for row in DIFFERENCES}
    unwanted = {one for one in found if not any(row.fullmatch(one) for row in rows.values())}
    return unwanted, {row for row, pattern in rows.items() if not any(pattern.fullmatch(one) for one in found)}


def main() -> int:
    """Print what differs."""
    if len(sys.argv) != 2:
        print("usage: python -m tests.contract.compare_openapi SPEC.json", file=sys.stderr)
        return 2
    found, stale = differences(json.loads(Path(sys.argv[1]).read_text()), our_document())
    for finding in sorted(found):
        print(finding)
    for row in sorted(stale):
        print(f"no longer true: {row}")
    print(f"{len(found)} differences, {len(DIFFERENCES) - len(stale)} more on purpose")
    return 1 if found or stale else 0


if __name__ == "__main__":
    sys.exit(main())
