"""A script as it was read: what its text says, checked, with the images that it shows."""

import base64
import binascii
import difflib
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from understudy.script import grammar, template
from understudy.script.document import Document, DocumentError
from understudy.script.findings import Finding, ScriptError
from understudy.script.grammar import Answer, CannedCode, OnMiss, Rule, ScriptFile, Turn

__all__ = ["Finding", "Script", "ScriptError"]

Place = tuple[str | int, ...]
ALWAYS_KNOWN = frozenset(("user", "assistant", "model", "metadata", "outputs"))
_TEMPLATES = ("reply", "refuse", "call", "python", "search", "fail")
_KEYS = sorted(
    {field.alias or name for one in grammar.PARTS for name, field in one.model_fields.items()},
)
_DOT = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==")
_EXPECTED = {
    "string_type": "expected a text (in quotes, if it looks like a number, true, false or null)",
    "model_type": "expected a mapping",
    "dict_type": "expected a mapping",
    "list_type": "expected a list",
}


@dataclass(frozen=True, slots=True)
class Script:
    """Rules, and what they need. `name` is what errors call it."""

    name: str
    on_miss: OnMiss
    rules: tuple[Rule, ...]
    ids: tuple[str, ...]
    """Of the rules: equal ones have equal ids, in whatever script they stand."""
    images: dict[str | bool, bytes]
    """Contents of the images that canned code shows, by what the script calls them."""

    @classmethod
    def read(cls, path: Path) -> "Script":
        """The script in a file. Raises ScriptError and OSError."""
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise ScriptError(path.name, [Finding(1, 1, f"not UTF-8: {error.reason}")]) from error
        return cls.parse(text, path.name, path.parent)

    @classmethod
    def parse(cls, text: str, name: str = "script", folder: Path | None = None) -> "Script":
        """The script that a YAML or JSON text is. Raises ScriptError.

        Images are looked for in `folder`; without one, for a text that came from elsewhere, none is read from a file.
        """
        try:
            document = _read(text)
        except DocumentError as error:
            raise ScriptError(name, [error.finding]) from error
        try:
            file = ScriptFile.model_validate(document.data)
        except ValidationError as error:
            raise ScriptError(name, [_told(document, one) for one in error.errors(include_url=False)]) from error
        images: dict[str | bool, bytes] = {}
        findings = [*_place_parts(document, file), *_load_images(document, file, folder, images)]
        if findings:
            raise ScriptError(name, findings)
        ids = tuple(_digest(rule) for rule in document.data["rules"])
        return cls(name, file.on_miss, tuple(file.rules), ids, images)


# Tests give the same text again and again.
_read = lru_cache(maxsize=64)(Document)


def turn_places(file: ScriptFile) -> Iterator[tuple[Rule, int, Answer, Place]]:
    """Every turn with its rule, its number in it and its place."""
    for index, rule in enumerate(file.rules):
        for number, turn in enumerate(rule.steps):
            yield rule, number, turn, ("rules", index, "turns", number) if rule.turns else ("rules", index)


def _told(document: Document, error: ErrorDetails) -> Finding:
    """What pydantic found, in our words."""
    place, kind = error["loc"], error["type"]
    if kind == "missing":
        return Finding(*document.place(place[:-1]), f"{place[-1]!r} is missing")
    if kind == "extra_forbidden":
        near = difflib.get_close_matches(str(place[-1]), _KEYS, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        return Finding(*document.place(place, of_key=True), f"unknown key {place[-1]!r}{hint}")
    if kind == "string_pattern_mismatch" and place[-1] == "[key]":
        return Finding(*document.place(place[:-1], of_key=True), f"{place[-2]!r} is no function's name")
    said = error["msg"].replace("Input should be", "expected").removeprefix("Value error, ")
    return Finding(*document.place(place), _EXPECTED.get(kind, said))


def _place_parts(document: Document, file: ScriptFile) -> Iterator[Finding]:
    """Tell rules and turns where they stand; what is wrong with their templates."""
    for index, rule in enumerate(file.rules):
        rule.put(document.place(("rules", index)))
    for rule, number, turn, place in turn_places(file):
        if turn is not rule:
            turn.put(document.place(place))
        known = _known_variables(rule, number)
        for where, text in _texts(document, place):
            try:
                named = [one for one in template.references(text) if one.default is None and one.path[0] not in known]
            except template.TemplateError as error:
                yield Finding(*document.place(where), str(error))
                continue
            for reference in named:
                message = f"unknown variable {reference}: this turn knows {', '.join(sorted(known))}"
                yield Finding(*document.place(where), message)


def _known_variables(rule: Rule, number: int) -> set[str]:
    """First parts of the variables that the turn may name."""
    known = set(ALWAYS_KNOWN) | rule.when.groups()
    turn = rule.steps[number]
    if isinstance(turn, Turn) and turn.if_:
        known |= turn.if_.groups()
    for earlier in rule.steps[:number]:
        known |= set(earlier.tools)
        known |= {"logs"} if earlier.python else set()
        known |= {"results"} if earlier.search else set()
    return known


def _texts(document: Document, place: Place) -> Iterator[tuple[Place, str]]:
    """The templates of the turn at `place`."""
    turn: Any = document.data
    for step in place:
        turn = turn[step]
    for name in _TEMPLATES:
        yield from _texts_in(turn.get(name), (*place, name))


def _texts_in(value: Any, place: Place) -> Iterator[tuple[Place, str]]:
    match value:
        case str():
            yield place, value
        case list():
            for number, item in enumerate(value):
                yield from _texts_in(item, (*place, number))
        case dict():
            for key, item in value.items():
                yield from _texts_in(item, (*place, key))


def _load_images(
    document: Document, file: ScriptFile, folder: Path | None, images: dict[str | bool, bytes]
) -> Iterator[Finding]:
    """Fill `images`; what cannot be loaded."""
    for _, _, turn, place in turn_places(file):
        for number, program in enumerate(turn.programs):
            for image in program.images if isinstance(program, CannedCode) else ():
                where = (
                    (*place, "python", number, "image")
                    if isinstance(turn.python, list)
                    else (*place, "python", "image")
                )
                try:
                    images[image] = _image(image, folder)
                except (OSError, ValueError) as error:
                    yield Finding(*document.place(where), f"image: {error}")


def _image(image: str | bool, folder: Path | None) -> bytes:
    """An image's content. Raises ValueError and OSError."""
    if image is True:
        return _DOT
    assert isinstance(image, str)
    if image.startswith("data:"):
        try:
            content = base64.b64decode(image.partition(",")[2], validate=True)
        except binascii.Error as error:
            raise ValueError("expected data:image/png;base64,…") from error
    elif folder is None:
        raise ValueError("a script that is no file can show data: URLs, and true for a dot")
    else:
        content = (folder / image).read_bytes()
    if not content.startswith((b"\x89PNG", b"\xff\xd8\xff")):
        raise ValueError("expected a PNG or a JPEG")
    return content


def _digest(rule: Any) -> str:
    return hashlib.sha256(json.dumps(rule, sort_keys=True).encode()).hexdigest()[:16]
