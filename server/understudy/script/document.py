"""A YAML text (JSON is YAML) as plain values, and where in the text each of them stands."""

import math
import re
from collections.abc import Sequence
from typing import Any

import yaml

from understudy.script.findings import Finding

Path = Sequence[str | int]


class DocumentError(Exception):
    """The text is no YAML, or more than JSON can say."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.message)
        self.finding = finding


# YAML 1.2, as editors have it: `yes`, `12:30`, `0123` and `2026-01-31` are texts.
_PLAIN = (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?(?:0|[1-9]\d*)", list("-+0123456789")),
    ("float", r"[-+]?(?:\d+\.\d*|\.\d+|\d+(?=[eE]))(?:[eE][-+]?\d+)?", list("-+.0123456789")),
    ("merge", r"<<", ["<"]),
)


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012


class _Dumper(yaml.SafeDumper):
    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


def _as_block(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    # PyYAML writes the rarer line breaks as if YAML kept them.
    style = '"' if re.search("[\r\x85\u2028\u2029]", text) else "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _as_block)
for _kind, _pattern, _first in _PLAIN:
    for _class in (_Loader, _Dumper):
        _class.add_implicit_resolver(f"tag:yaml.org,2002:{_kind}", re.compile(rf"(?:{_pattern})\Z"), _first)


def written(value: Any) -> str:
    """The YAML text that `Document` reads as this value."""
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
    return text


class Document:
    """`data` is the text's value. Raises DocumentError."""

    def __init__(self, text: str) -> None:
        self.data: Any = None
        self._root: yaml.Node | None = None
        try:
            self._loader = _Loader(text)
            self._root = self._loader.get_single_node()
            if self._root is not None:
                self.data = self._value(self._root, ())
        except yaml.MarkedYAMLError as error:
            raise _error(error.problem_mark or error.context_mark, f"not YAML: {error.problem}") from error
        except yaml.YAMLError as error:
            raise _error(None, f"not YAML: {' '.join(str(error).split())}") from error
        except RecursionError as error:
            raise _error(None, "nested too deeply") from error

    def place(self, path: Path, *, of_key: bool = False) -> tuple[int, int]:
        """Line and column of the value at `path`, or of its key; of the nearest thing around it where there is none."""
        node, mark = self._root, self._root.start_mark if self._root else None
        for number, step in enumerate(path):
            if isinstance(node, yaml.MappingNode):
                # From the end: what a merged mapping brings along comes first.
                for key, value in reversed(node.value):
                    if key.value == step:
                        here = key if of_key and number == len(path) - 1 else value
                        node, mark = value, here.start_mark
                        break
            elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
                node = node.value[step]
                mark = node.start_mark
        return (mark.line + 1, mark.column + 1) if mark else (1, 1)

    def _value(self, node: yaml.Node, around: tuple[yaml.Node, ...]) -> Any:
        if node in around:
            raise _error(node.start_mark, "this contains itself")
        if isinstance(node, yaml.SequenceNode):
            return [self._value(item, (*around, node)) for item in node.value]
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, (*around, node))
        try:
            value = self._loader.construct_object(node)
        except (ValueError, LookupError) as error:
            raise _error(node.start_mark, f"no such value: {node.value!r}") from error
        if not _is_json(value):
            raise _error(node.start_mark, "expected a text, a number, true, false or null")
        return value

    def _mapping(self, node: yaml.MappingNode, around: tuple[yaml.Node, ...]) -> dict[str, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise _error(key.start_mark, "expected a text as key")
            if key.value in seen and not key.tag.endswith(":merge"):
                raise _error(key.start_mark, f"the key {key.value!r} is there twice")
            seen.add(key.value)
        self._loader.flatten_mapping(node)
        values: dict[str, Any] = {}
        for key, value in node.value:
            name = self._value(key, around)
            if not isinstance(name, str):
                raise _error(key.start_mark, f"expected a text as key: put {key.value} in quotes")
            values[name] = self._value(value, around)
        return values


def _is_json(value: Any) -> bool:
    match value:
        case str():
            return not re.search(r"[\ud800-\udfff]", value)
        case float():
            return math.isfinite(value)
    return isinstance(value, int | None)


def _error(mark: yaml.Mark | None, message: str) -> DocumentError:
    return DocumentError(Finding(mark.line + 1, mark.column + 1, message) if mark else Finding(1, 1, message))
