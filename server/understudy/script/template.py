"""`${name.path|default}` in a script's texts, the default for what is not there or empty. `$${` stands for `${`."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

_MARK = re.compile(r"\$\$\{|\$\{")
_REFERENCE = re.compile(r"([\w-]+(?:\.[\w-]+)*)(?:\|([^}]*))?\}")
_AROUND_WORDS = ".,;:!?\"'()[]{}«»“”‘’…"


class TemplateError(ValueError):
    """No template, or one of its variables has no value."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A variable in a template."""

    path: tuple[str, ...]
    default: str | None

    def __str__(self) -> str:
        return f"${{{'.'.join(self.path)}}}"


@lru_cache(maxsize=1024)
def parts(template: str) -> tuple[str | Reference, ...]:
    """A template's texts and references in turn. Raises TemplateError."""
    found: list[str | Reference] = []
    position = 0
    while mark := _MARK.search(template, position):
        found.append(template[position : mark.start()])
        if mark[0] == "$${":
            found.append("${")
            position = mark.end()
            continue
        reference = _REFERENCE.match(template, mark.end())
        if reference is None:
            shown = template[mark.start() :].partition("}")[0][:40]
            raise TemplateError(f"{shown!r} is no ${{name}} and no ${{name|default}}; write $${{ for a plain ${{")
        found.append(Reference(tuple(reference[1].split(".")), reference[2]))
        position = reference.end()
    return (*found, template[position:])


def references(value: Any) -> Iterator[Reference]:
    """Those of a JSON value's texts. Raises TemplateError."""
    match value:
        case str():
            yield from (part for part in parts(value) if isinstance(part, Reference))
        case list():
            for item in value:
                yield from references(item)
        case dict():
            for item in value.values():
                yield from references(item)


def only_reference(template: Any) -> Reference | None:
    """The reference that is the whole of a template."""
    if isinstance(template, str):
        match [part for part in parts(template) if part]:
            case [Reference() as reference]:
                return reference
    return None


def text(template: str, variables: Mapping[str, Any]) -> str:
    """The template with its variables' values. Raises TemplateError."""
    return "".join(part if isinstance(part, str) else _text(_looked_up(part, variables)) for part in parts(template))


def value(template: Any, variables: Mapping[str, Any]) -> Any:
    """A JSON value with its variables' values; a text that is nothing but a reference gets the type of what it names.

    Raises TemplateError.
    """
    if reference := only_reference(template):
        return plain(_looked_up(reference, variables))
    match template:
        case str():
            return text(template, variables)
        case list():
            return [value(item, variables) for item in template]
        case dict():
            return {key: value(item, variables) for key, item in template.items()}
    return template


class Output(str):
    """What a tool answered: a text, and whatever JSON it is."""

    __slots__ = ()


class Passages(list[Any]):
    """What a search found."""

    def __str__(self) -> str:
        return "\n\n".join(passage["text"] for passage in self)


def plain(found: Any) -> Any:
    """A variable's value as JSON."""
    return _parsed(found) if isinstance(found, Output) else found


def _looked_up(reference: Reference, variables: Mapping[str, Any]) -> Any:
    found: Any = variables
    try:
        for step in reference.path:
            found = _step(found, step)
    except LookupError:
        found = None
    else:
        # null is a value where a tool answered it; a group that took no part has none.
        there = found is not None or isinstance(variables[reference.path[0]], Output)
        if there and (found != "" or reference.default is None):
            return found
    if reference.default is None:
        raise TemplateError(f"{reference} has no value{_known(reference, variables)}")
    return Output(reference.default)


def _step(found: Any, step: str) -> Any:
    if isinstance(found, Output):
        found = _parsed(found)
    match found:
        case Mapping():
            return found[step]
        case list() if re.fullmatch(r"-?\d+", step):
            return found[int(step)]
        case str() if step == "words":
            return [word for part in found.split() if (word := part.strip(_AROUND_WORDS))]
        case str() if step == "lines":
            return found.splitlines()
    raise LookupError(step)


def _parsed(output: str) -> Any:
    try:
        return json.loads(output)
    except (ValueError, RecursionError):
        return str(output)


def _text(found: Any) -> str:
    if isinstance(found, str | Passages):
        return str(found)
    return json.dumps(found, ensure_ascii=False)


def _known(reference: Reference, variables: Mapping[str, Any]) -> str:
    root = reference.path[0]
    if root in variables:
        shown = _text(variables[root]) if variables[root] is not None else "nothing"
        return f": {root} is {shown if len(shown) <= 200 else shown[:199] + '…'}"
    return f"; there are {', '.join(sorted(variables))}"
