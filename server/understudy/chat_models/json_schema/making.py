"""Makes a value that is valid for a JSON Schema, from a text's own words where they obviously fit.

Candidates are made in order of preference and checked; the first valid one is the value. Not looked at: `contains`,
`if`, `dependent…`, `patternProperties`, `propertyNames`, references into other documents.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, NamedTuple
from urllib.parse import unquote

from understudy.chat_models.json_schema.pattern import LONGEST, UnsatisfiableError, matches, matching, parsed
from understudy.chat_models.json_schema.words import FORMATS, Words

JSONSchema = Any
"""An object or a boolean, as a client sent it: perhaps malformed."""

_BUDGET = 100_000  # of steps; a few lines of schema can ask for gigabytes
_TEXT_LENGTH = 5_000  # searched for values; some of the searches are quadratic
_TRIES = 200

_KINDS: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "null": type(None),
    "array": list,
    "object": dict,
}
# The keywords that tell a type where none is named.
_TELLING = {
    "object": {"properties", "required", "additionalProperties"},
    "array": {"items", "prefixItems", "minItems"},
    "number": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"},
}


def example(schema: JSONSchema, *, text: str = "") -> Any:
    """A value that is valid for `schema`; UnsatisfiableError where none is found."""
    try:
        return _Maker(schema, Words(text[:_TEXT_LENGTH])).value(schema)
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        # A malformed schema breaks the code that reads it in any of these ways.
        raise UnsatisfiableError(f"no value found for this JSON Schema ({error})") from error


class _Place(NamedTuple):
    """Where a value will stand."""

    name: str = ""
    refs: frozenset[str] = frozenset()
    """The references that led there."""
    others: Sequence[Any] = ()
    """What it must not be equal to."""


_TOP = _Place()


class _Maker:
    def __init__(self, root: JSONSchema, words: Words) -> None:
        self.root = root
        self.words = words
        self.left = _BUDGET

    def value(self, schema: JSONSchema, place: _Place = _TOP) -> Any:
        self.spend(30)
        for variant, refs in self.variants(schema, place.refs, frozenset()):
            for candidate in self.candidates(variant, place._replace(refs=place.refs | refs)):
                if candidate not in place.others and self.valid(candidate, schema):
                    self.words.used(candidate)
                    return candidate
        raise UnsatisfiableError(place.name or "at its top")

    def spend(self, steps: int) -> None:
        self.left -= steps
        if self.left < 0:
            raise UnsatisfiableError("it asks for too large a value")

    def variants(
        self, schema: JSONSchema, before: frozenset[str], here: frozenset[str]
    ) -> Iterator[tuple[dict[str, Any], frozenset[str]]]:
        """The schema without references and combinations, once for each choice of `anyOf` and `oneOf`.

        A reference that led here already is a dead end: whatever can be made through it can be made without.
        """
        self.spend(1)
        if isinstance(schema, bool):
            schema = {} if schema else {"enum": []}
        key = next((key for key in ("$ref", "allOf", "anyOf", "oneOf") if schema.get(key)), None)
        if key is None:
            yield schema, here
            return
        rest = {other: value for other, value in schema.items() if other != key}
        options = schema[key]
        if key == "$ref":
            options = [] if options in before else [{}] if options in here else [self.referred(options)]
            here |= {schema[key]}
        elif key == "allOf":
            rest["allOf"], options = options[1:], options[:1]
        for option in options:
            for part, seen in self.variants(option, before, here):
                yield from self.variants(_merged(part, rest), before, seen)

    def referred(self, reference: str) -> JSONSchema:
        document, _, pointer = unquote(reference).partition("#")
        if document:
            raise UnsatisfiableError(f"{reference} is in another document")
        target = self.root
        for key in pointer.split("/")[1:]:
            key = key.replace("~1", "/").replace("~0", "~")
            target = target[int(key)] if isinstance(target, list) else target[key]
        return target

    def candidates(self, schema: dict[str, Any], place: _Place) -> Iterator[Any]:
        kinds = _kinds(schema)
        choices = [schema["const"]] if "const" in schema else schema.get("enum")
        if choices is not None:
            yield from filter(self.words.mention, choices)
        elif {"integer", "number"} & set(kinds):
            yield from self.words.for_number(place.name)
        elif "string" in kinds and "format" not in schema:
            yield from self.words.for_string(place.name)
        if "default" in schema:
            yield schema["default"]
        yield from schema.get("examples", ())
        if choices is not None:
            yield from choices
            return
        for kind in kinds:
            with suppress(UnsatisfiableError):
                yield from self.made(kind, schema, place)

    def made(self, kind: str, schema: dict[str, Any], place: _Place) -> Iterator[Any]:
        match kind:
            case "object":
                yield self.object(schema, place.refs)
            case "array":
                yield self.array(schema, place)
            case "integer" | "number":
                yield from _numbers(schema, int if kind == "integer" else float)
            case "boolean":
                yield from (False, True)
            case "null":
                yield None
            case "string" if schema.get("format") in FORMATS:
                yield from self.words.for_format(schema["format"])
                yield from (FORMATS[schema["format"]][1].format(n) for n in range(1, 28))
            case "string":
                yield from _strings(schema, place.name)

    def object(self, schema: dict[str, Any], refs: frozenset[str]) -> dict[str, Any]:
        """The required properties and, of the optional ones, the simple ones."""
        properties = schema.get("properties", {})
        extra = schema.get("additionalProperties", True)
        made: dict[str, Any] = {}
        for key in schema.get("required", ()):
            made[key] = self.value(properties.get(key, extra), _Place(key, refs))
        for key, part in properties.items():
            if key not in made and len(made) < schema.get("maxProperties", math.inf) and _is_simple(part):
                with suppress(UnsatisfiableError):
                    made[key] = self.value(part, _Place(key, refs))
        missing = max(0, schema.get("minProperties", 0) - len(made))
        self.spend(missing)
        spare = [key for key in properties if key not in made] + [f"key_{n + 1}" for n in range(missing)]
        for key in spare[:missing]:
            made[key] = self.value(properties.get(key, extra), _Place(key, refs))
        return {key: made[key] for key in [*properties, *made] if key in made}

    def array(self, schema: dict[str, Any], place: _Place) -> list[Any]:
        """As many items as are asked for, else as the text offers, else one."""
        prefix, items, least = schema.get("prefixItems", []), schema.get("items"), schema.get("minItems", 0)
        kind = items.get("type") if isinstance(items, dict) else None
        numbers, quoted = len(self.words.numbers), len(self.words.quoted)
        offers = {"integer": numbers, "number": numbers, "string": quoted}.get(str(kind), 0)
        wanted = max(least, len(prefix), 1 if items else 0, offers)
        made: list[Any] = []
        for n in range(min(wanted, schema.get("maxItems", wanted))):
            part = prefix[n] if n < len(prefix) else True if items is None else items
            others = made if schema.get("uniqueItems") else ()
            try:
                made.append(self.value(part, _Place(place.name, place.refs, others)))
            except UnsatisfiableError:
                if n < least:
                    raise
                break
        return made

    def valid(self, value: Any, schema: JSONSchema) -> bool:
        self.spend(1)
        if isinstance(schema, bool):
            return schema
        return (
            ("$ref" not in schema or self.valid(value, self.referred(schema["$ref"])))
            and ("type" not in schema or any(_is(value, kind) for kind in _listed(schema["type"])))
            and ("enum" not in schema or any(_same(value, choice) for choice in schema["enum"]))
            and ("const" not in schema or _same(value, schema["const"]))
            and all(self.valid(value, part) for part in schema.get("allOf", ()))
            and ("anyOf" not in schema or any(self.valid(value, part) for part in schema["anyOf"]))
            and ("oneOf" not in schema or sum(self.valid(value, part) for part in schema["oneOf"]) == 1)
            and ("not" not in schema or not self.valid(value, schema["not"]))
            and self.valid_inside(value, schema)
        )

    def valid_inside(self, value: Any, schema: dict[str, Any]) -> bool:
        if isinstance(value, dict):
            properties, extra = schema.get("properties", {}), schema.get("additionalProperties", True)
            return (
                all(key in value for key in schema.get("required", ()))
                and _within(len(value), schema, "Properties")
                and all(self.valid(part, properties.get(key, extra)) for key, part in value.items())
            )
        if isinstance(value, list):
            prefix, items = schema.get("prefixItems", []), schema.get("items", True)
            return (
                _within(len(value), schema, "Items")
                and not (schema.get("uniqueItems") and any(part in value[:n] for n, part in enumerate(value)))
                and all(self.valid(*pair) for pair in zip(value, prefix, strict=False))
                and all(self.valid(part, items) for part in value[len(prefix) :])
            )
        if isinstance(value, str):
            return _within(len(value), schema, "Length") and matches(schema.get("pattern", ""), value)
        return isinstance(value, bool) or value is None or _valid_number(value, schema)


def _listed(kind: Any) -> list[str]:
    return kind if isinstance(kind, list) else [kind]


def _kinds(schema: dict[str, Any]) -> list[str]:
    """The types to try: those named, null last, else those that the keywords tell before all others."""
    if "type" in schema:
        return sorted(_listed(schema["type"]), key=lambda kind: kind == "null")
    told = [kind for kind, keywords in _TELLING.items() if keywords & schema.keys()]
    return told or ["string", *(kind for kind in _KINDS if kind != "string")]


def _is(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    whole = kind == "integer" and isinstance(value, float) and value.is_integer()
    return isinstance(value, _KINDS[kind]) or whole


def _same(one: Any, two: Any) -> bool:
    return bool(one == two) and isinstance(one, bool) == isinstance(two, bool)  # True == 1, but not in JSON


def _is_simple(schema: JSONSchema) -> bool:
    """Whether an optional property of this schema is worth giving: one plain value, nothing nested."""
    if not isinstance(schema, dict):
        return False
    if options := schema.get("anyOf") or schema.get("oneOf"):
        return all(map(_is_simple, options))
    kinds = _listed(schema.get("type", "object"))
    return bool({"enum", "const"} & schema.keys()) or not {"object", "array"} & set(kinds)


_MERGE: dict[str, Callable[[Any, Any], Any]] = {
    "properties": lambda one, two: (
        one | two | {key: {"allOf": [one[key], two[key]]} for key in one.keys() & two.keys()}
    ),
    "required": lambda one, two: [*one, *two],
    "items": lambda one, two: {"allOf": [one, two]},
    "enum": lambda one, two: [value for value in one if value in two],
    "type": lambda one, two: [kind for kind in _listed(one) if kind in _listed(two)] or ["integer"],
    **dict.fromkeys(["minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"], max),
    **dict.fromkeys(["maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"], min),
}


def _merged(one: dict[str, Any], two: dict[str, Any]) -> dict[str, Any]:
    """Both at once; of what cannot be merged the second's, and the check of the value decides."""
    both = one.keys() & two.keys() & _MERGE.keys()
    return one | two | {key: _MERGE[key](one[key], two[key]) for key in both}


def _within(size: int, schema: dict[str, Any], what: str) -> bool:
    return bool(schema.get(f"min{what}", 0) <= size <= schema.get(f"max{what}", math.inf))


def _valid_number(value: float, schema: dict[str, Any]) -> bool:
    return bool(
        schema.get("minimum", -math.inf) <= value <= schema.get("maximum", math.inf)
        and not ("exclusiveMinimum" in schema and value <= schema["exclusiveMinimum"])
        and not ("exclusiveMaximum" in schema and value >= schema["exclusiveMaximum"])
        and float(value / schema.get("multipleOf", value or 1)).is_integer()
    )


def _numbers(schema: dict[str, Any], kind: type[int] | type[float]) -> Iterator[float]:
    low = max(schema.get("minimum", -math.inf), schema.get("exclusiveMinimum", -math.inf))
    high = min(schema.get("maximum", math.inf), schema.get("exclusiveMaximum", math.inf))
    step = schema.get("multipleOf", 1)
    upwards = low > -math.inf or high > step
    first = math.ceil(low / step) if low > -math.inf else 1 if upwards else math.floor(high / step)
    for n in range(_TRIES):
        value = (first + n if upwards else first - n) * step
        yield int(value) if kind is int else value
        if kind is float and low > -math.inf and high < math.inf:
            yield low + (high - low) / (n + 2)


def _strings(schema: dict[str, Any], name: str) -> Iterator[str]:
    low, high = schema.get("minLength", 0), schema.get("maxLength", LONGEST)
    if low > LONGEST:
        raise UnsatisfiableError(f"minLength {low}")
    if "pattern" in schema and (pattern := parsed(schema["pattern"])):
        yield from (matching(pattern[1], repeats) for repeats in (1, 0, *range(2, low + _TRIES)))
    base = f"example {name}".strip()
    for n in range(1, _TRIES):
        suffix = f" {n}" if n > 1 else ""
        yield (base[: max(0, high - len(suffix))] + suffix).ljust(low, "x")[:high]
