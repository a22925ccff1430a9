"""Makes a value that is valid for a JSON Schema, from a text's own words where they obviously fit.

A value is made for several schemas at once, each without references and combinations; for every choice that these
leave there is such a variant. Candidates are made in order of preference and checked; the first valid one is the value.
"""

import math
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from typing import Any, NamedTuple

from understudy.chat_models.json_schema.budget import Budget, UnsatisfiableError
from understudy.chat_models.json_schema.document import Document, JSONSchema
from understudy.chat_models.json_schema.numbers import within
from understudy.chat_models.json_schema.pattern import LONGEST
from understudy.chat_models.json_schema.plain import (
    Plain,
    at_least,
    at_most,
    choices_of,
    excluded_by,
    is_simple,
    item_of,
    kinds_of,
    required_of,
)
from understudy.chat_models.json_schema.streams import Stream, combined
from understudy.chat_models.json_schema.validity import Validity, identity
from understudy.chat_models.json_schema.variants import Variants
from understudy.chat_models.json_schema.words import FORMATS, Words

_STEPS = 100_000
_VALUE_STEPS = 10
_TEXT_LENGTH = 5_000  # searched for values; some of the searches are quadratic
_MISSES = 50
_MENTIONED = 1_000
_REVISITS = (0, 1, 2, 4)


def example(schema: JSONSchema, *, text: str = "") -> Any:
    """A value that is valid for `schema`; UnsatisfiableError where none is found."""
    budget = Budget(_STEPS)
    for revisits in _REVISITS:
        maker = _Maker(Document(schema, budget), Words(text[:_TEXT_LENGTH]), revisits)
        try:
            return next(maker.values([schema], _TOP))
        except StopIteration:
            if not maker.variants.cut_off:
                break
        except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
            # A malformed schema breaks the code that reads it in any of these ways.
            raise UnsatisfiableError(f"no value was found for the JSON Schema ({error})") from error
    raise UnsatisfiableError(f"no value was found for the JSON Schema: it allows none {maker.dead_end}")


class _Place(NamedTuple):
    """Where a value will stand."""

    name: str = ""
    refs: tuple[str, ...] = ()
    """The references that led there."""
    path: str = "at its top"


_TOP = _Place(refs=("#",))


class _Contained:
    """What an array has to contain, and how much of it there is so far."""

    def __init__(self, schema: JSONSchema, least: int, most: float) -> None:
        self.schema = schema
        self.least = least
        self.most = most
        self.found = 0

    @classmethod
    def of(cls, schema: Plain) -> "_Contained":
        return cls(schema["contains"], schema.get("minContains", 1), schema.get("maxContains", math.inf))

    @property
    def lacks(self) -> bool:
        return self.found < self.least


class _Maker:
    def __init__(self, document: Document, words: Words, revisits: int) -> None:
        self.document = document
        self.spend = document.budget.spend
        self.words = words
        self.variants = Variants(document, revisits)
        self.validity = Validity(document)
        self.dead_end = _TOP.path

    def values(self, schemas: list[JSONSchema], place: _Place) -> Iterator[Any]:
        """Values that are valid for all of the schemas, each once."""
        self.spend(_VALUE_STEPS)
        seen = set()
        found = False
        for plain, refs in self.variants.of(schemas, [], place.refs, frozenset()):
            misses, excluded = 0, excluded_by(plain)
            for candidate in self.candidates(plain, place._replace(refs=refs)):
                self.spend()
                if (known := identity(candidate)) in seen or known in excluded:
                    continue
                seen.add(known)
                if all(self.validity.holds(candidate, schema) for schema in schemas):
                    found = True
                    self.words.used(candidate)
                    yield candidate
                    continue
                misses += 1
                if misses == _MISSES and choices_of(plain) is None:
                    break
        if not found and len(place.path) > len(self.dead_end):
            self.dead_end = place.path

    def candidates(self, schemas: list[Plain], place: _Place) -> Iterator[Any]:
        kinds = kinds_of(schemas)
        choices = choices_of(schemas)
        if choices is not None:
            yield from filter(self.words.mention, choices[:_MENTIONED])
        elif {"integer", "number"} & set(kinds):
            yield from self.words.for_number(place.name)
        elif "string" in kinds and not any("format" in schema for schema in schemas):
            yield from self.words.for_string(place.name)
        for schema in schemas:
            if "default" in schema:
                yield schema["default"]
            yield from schema.get("examples", ())
        if choices is not None:
            yield from choices
            return
        for kind in kinds:
            with suppress(UnsatisfiableError):
                yield from self.made(kind, schemas, place)

    def made(self, kind: str, schemas: list[Plain], place: _Place) -> Iterator[Any]:
        match kind:
            case "object":
                yield from self.objects(schemas, place)
            case "array":
                yield from self.arrays(schemas, place)
            case "integer" | "number":
                yield from within(schemas, whole=kind == "integer")
            case "boolean":
                yield from (False, True)
            case "null":
                yield None
            case "string":
                yield from self.strings(schemas, place.name)

    def strings(self, schemas: list[Plain], name: str) -> Iterator[str]:
        low, high = at_least(schemas, "minLength"), at_most(schemas, "maxLength")
        forms = [FORMATS[schema["format"]] for schema in schemas if schema.get("format") in FORMATS]
        for form in forms:
            yield from self.words.for_format(form)
            yield from (form.sample.format(n) for n in range(1, 28))
        patterns = [schema["pattern"] for schema in schemas if "pattern" in schema] + [form.whole for form in forms]
        unwanted = [schema["not"]["pattern"] for schema in schemas if "pattern" in schema.get("not", ())]
        base = f"example {name}".strip()
        if not forms:
            yield from (_sized(base, low, high), _sized("example", low, high))
        if patterns or unwanted:
            yield from self.document.language(tuple(patterns), tuple(unwanted)).strings(low, high)
            return
        if low > LONGEST:
            raise UnsatisfiableError(f"minLength {low}")
        for n in range(2, LONGEST):
            suffix = f" {n}"
            yield _sized(base[: max(0, int(min(high, LONGEST)) - len(suffix))] + suffix, low, high)

    def objects(self, schemas: list[Plain], place: _Place) -> Iterator[dict[str, Any]]:
        """Those with the required properties and, of the optional ones, the simple ones; then those without them."""
        required = required_of(schemas)
        declared = list(dict.fromkeys(key for schema in schemas for key in schema.get("properties", ())))
        ways = {key: self.property(key, schemas, place) for key in required}
        if not all(way.has(0) for way in ways.values()):
            return
        optional = dict(ways)
        dependent = {key for schema in schemas for key in schema.get("dependentRequired", ())}
        for key in declared:
            room = len(optional) < at_most(schemas, "maxProperties") and key not in dependent
            if key not in optional and room and all(map(is_simple, self.parts(key, schemas))):
                way = self.property(key, schemas, place)
                if way.has(0):
                    optional[key] = way
        for chosen in (optional, ways) if len(optional) > len(ways) else (ways,):
            whole = self.filled_up(chosen, declared, schemas, place)
            keys = [key for key in (*declared, *whole) if key in whole]
            keys = list(dict.fromkeys(keys))
            for values in combined([whole[key] for key in keys], self.spend):
                yield dict(zip(keys, values, strict=True))

    def filled_up(
        self, chosen: dict[str, Stream], declared: list[str], schemas: list[Plain], place: _Place
    ) -> dict[str, Stream]:
        """With as many properties more as are asked for."""
        whole = dict(chosen)
        names = self.names(declared, schemas)
        while len(whole) < at_least(schemas, "minProperties"):
            self.spend(_VALUE_STEPS)
            name = next(names, None)
            if name is None:
                raise UnsatisfiableError("it asks for more properties than it allows")
            if name not in whole and (way := self.property(name, schemas, place)).has(0):
                whole[name] = way
        return whole

    def names(self, declared: list[str], schemas: list[Plain]) -> Iterator[str]:
        """Names for properties: those declared, then such as patterns and rules for names allow."""
        yield from declared
        rules = [schema["propertyNames"] for schema in schemas if "propertyNames" in schema]
        patterns = [pattern for schema in schemas for pattern in schema.get("patternProperties", ())]
        for pattern in patterns:
            named: list[JSONSchema] = [{"type": "string", "pattern": pattern}, *rules]
            yield from islice(self.values(named, _Place("key")), _MISSES)
        if not rules:
            yield from (f"key_{n + 1}" for n in range(LONGEST))
        yield from self.values([{"type": "string"}, *rules], _Place("key"))

    def property(self, key: str, schemas: list[Plain], place: _Place) -> Stream:
        """The values that a property may have, none where it may not be there."""
        rules = [schema["propertyNames"] for schema in schemas if "propertyNames" in schema]
        allowed = all(self.validity.holds(key, rule) for rule in rules)
        parts = self.parts(key, schemas) if allowed else [False]
        return Stream(self.values(parts, _Place(key, place.refs, f"{place.path}, in {key!r}")))

    def parts(self, key: str, schemas: list[Plain]) -> list[JSONSchema]:
        return [part for schema in schemas for part in self.validity.parts(key, schema)]

    def arrays(self, schemas: list[Plain], place: _Place) -> Iterator[list[Any]]:
        """As many items as are asked for, else as the text offers, else one; then more and less of them."""
        least, most = at_least(schemas, "minItems"), at_most(schemas, "maxItems")
        prefix = max((len(schema.get("prefixItems", ())) for schema in schemas), default=0)
        items = [schema["items"] for schema in schemas if "items" in schema]
        offered = max((self.offered(one) for one in items), default=0)
        wanted = min(max(least, prefix, 1 if items else 0, offered), most)
        sizes = dict.fromkeys([int(wanted), *range(int(least), min(int(wanted) + 3, int(min(most, LONGEST)) + 1))])
        for size in sizes:
            with suppress(UnsatisfiableError):
                yield self.array(schemas, place, size, most)
        if not any(schema.get("uniqueItems") for schema in schemas):
            for size in sizes:
                self.spend(size)
                streams = [Stream(self.values(item_of(schemas, n), place)) for n in range(size)]
                yield from combined(streams, self.spend)

    def offered(self, items: JSONSchema) -> int:
        """How many items the text has for an array."""
        kind = str(items.get("type")) if isinstance(items, dict) else ""
        numbers = len(self.words.numbers)
        return {"integer": numbers, "number": numbers, "string": len(self.words.quoted)}.get(kind, 0)

    def array(self, schemas: list[Plain], place: _Place, size: int, most: float) -> list[Any]:
        """One of that size or, where items have to be contained that have no place in it, a longer one."""
        unique = any(schema.get("uniqueItems") for schema in schemas)
        contained = [_Contained.of(schema) for schema in schemas if "contains" in schema]
        streams: dict[str, Iterator[Any]] = {}
        made: list[Any] = []
        known: set[Any] = set()
        while len(made) < size or (len(made) < most and any(one.lacks for one in contained)):
            at = place._replace(path=f"{place.path}, in item {len(made)}")
            item = self.next_item(item_of(schemas, len(made)), contained, at, streams if unique else None, known)
            known |= {identity(item)} if unique else set()
            made.append(item)
            for one in contained:
                one.found += self.validity.holds(item, one.schema)
        return made

    def next_item(
        self,
        item: list[JSONSchema],
        contained: list["_Contained"],
        place: _Place,
        streams: dict[str, Iterator[Any]] | None,
        known: set[Any],
    ) -> Any:
        """The next item, one that has to be contained where that can be."""
        excluded = [{"not": one.schema} for one in contained if one.found >= one.most]
        for asked in [*([one.schema] for one in contained if one.lacks), []]:
            schemas = [*item, *asked, *excluded]
            values = self.values(schemas, place)
            if streams is not None:  # goes on where the last item was found
                values = streams.setdefault(repr(list(map(id, schemas))), values)
            for value in values:
                if streams is None or identity(value) not in known:
                    return value
        raise UnsatisfiableError(f"it allows none {place.path}")


def _sized(text: str, low: int, high: float) -> str:
    return text.ljust(min(low, LONGEST), "x")[: int(min(high, LONGEST))]
