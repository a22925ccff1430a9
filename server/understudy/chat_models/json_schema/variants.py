"""A schema as plain ones: without references and combinations, once for each choice that these leave."""

from collections.abc import Iterator
from typing import Any

from understudy.chat_models.json_schema.document import Document, JSONSchema, modern
from understudy.chat_models.json_schema.opposite import opposites
from understudy.chat_models.json_schema.plain import Plain, choices_of, is_excluding, kinds_of

_BRANCHES = ("anyOf", "oneOf", "if", "dependentSchemas", "not")


class Variants:
    """Those of a document's schemas. A reference is followed again, below itself, `revisits` times."""

    def __init__(self, document: Document, revisits: int) -> None:
        self._document = document
        self._revisits = revisits
        self.cut_off = False
        """Whether a reference was not followed as it had led to itself too often."""

    def of(
        self, schemas: list[JSONSchema], plain: list[Plain], before: tuple[str, ...], here: frozenset[str]
    ) -> Iterator[tuple[list[Plain], tuple[str, ...]]]:
        """The schemas as plain ones, once for each choice, and the references that led there.

        A reference that led here too often already is a dead end: a tree has to have leaves.
        """
        todo = list(schemas)
        while todo:
            self._document.budget.spend()
            schema = modern(todo.pop(0))
            if schema is True:
                continue
            if schema is False:
                return
            key = next((key for key in ("$ref", "allOf", *_BRANCHES) if _branches(schema, key)), None)
            if key is None:
                plain = [*plain, schema]
                if choices_of(plain) == [] or not kinds_of(plain):
                    return
                continue
            rest = {other: value for other, value in schema.items() if other != key}
            if key == "allOf":
                todo = [*schema[key], rest, *todo]
            elif key == "$ref":
                if before.count(schema[key]) > self._revisits:
                    self.cut_off = True
                    return
                todo = [*([] if schema[key] in here else [self._document.referred(schema[key])]), rest, *todo]
                here |= {schema[key]}
            else:
                for option in self._options(schema, key):
                    yield from self.of([*option, rest, *todo], plain, before, here)
                return
        yield plain, before + tuple(sorted(here))

    def _options(self, schema: dict[str, Any], key: str) -> Iterator[list[JSONSchema]]:
        """What a value has to be valid for besides the rest of the schema.

        Where a value that is made without a look at the keyword may do, that is the first option.
        """
        parts = schema[key]
        match key:
            case "anyOf":
                yield from ([part] for part in parts)
            case "oneOf":
                yield from ([part] for part in parts)
                for n, part in enumerate(parts):
                    yield [part, *({"not": other} for other in parts[:n] + parts[n + 1 :])]
            case "if":
                yield []
                yield [parts, schema.get("then", True)]
                yield [{"not": parts}, schema.get("else", True)]
            case "dependentSchemas":
                yield []
                yield list(parts.values())
                yield [{"properties": dict.fromkeys(parts, False)}]
            case "not":
                yield []
                yield from ([part] for part in opposites(parts, self._document))


def _branches(schema: dict[str, Any], key: str) -> bool:
    """Whether a value can be made for the schema only once this keyword is seen to."""
    return key in schema and not (key == "not" and is_excluding(schema))
