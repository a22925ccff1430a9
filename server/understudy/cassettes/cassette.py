"""The file of a cassette: one YAML document, its entries in the order in which they were recorded."""

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import SequenceMatcher, unified_diff
from pathlib import Path
from typing import Any

import yaml

from understudy.cassettes.answer import Answer
from understudy.cassettes.model_request import ModelRequest, canonical
from understudy.cassettes.moments import timeless
from understudy.cassettes.redaction import Redaction, shown
from understudy.settings import StartError

_VERSION = 1
_WIDTH = 120
_MOST_DIFFERENCES = 30  # lines
_HEAD = "# Answers of a model that tests replay, recorded by Understudy. Texts may be edited by hand.\n"


class CassetteError(StartError):
    """The file is missing, is no cassette, or is being recorded on; the text says which and what to do."""


@dataclass(slots=True)
class Entry:
    """A request and its answer."""

    request: ModelRequest
    answer: Answer
    recorded: float
    """Seconds since the epoch."""
    played: bool = False


class Cassette:
    """Entries, and the file that they lie in."""

    def __init__(self, path: Path, redaction: Redaction) -> None:
        self.path = path
        self.known: list[Entry] = []
        """What `load` has read: what is recorded later is for later sessions."""
        self.redaction = redaction
        self._head: list[str] = []
        """The patterns that the file shows."""
        self._new: list[Entry] = []
        self._texts: list[str] = []
        """The entries as the file has them, as far as it was written."""

    def load(self) -> None:
        """Read the file. Raises CassetteError."""
        try:
            content = yaml.load(self.path.read_text("utf-8"), _Loader)  # noqa: S506 - a safe one
            if not isinstance(content, dict) or content.get("version") != _VERSION:
                raise ValueError(f"expected a mapping with version: {_VERSION}")
            self._head = [str(pattern) for pattern in content.get("redact") or []]
            self.redaction = Redaction(self._head) + self.redaction.patterns
            for said in content.get("entries") or []:
                self.known.append(self._read(said))
        except OSError as error:
            raise CassetteError(f"--cassette {self.path}: {error.strerror}; to record it: understudy record") from error
        except (KeyError, TypeError, ValueError, AttributeError, re.error, yaml.YAMLError) as error:
            text = " ".join(str(error).split())
            where = f"after {len(self.known)} entries: {type(error).__name__}: {text}"
            raise CassetteError(f"--cassette {self.path} is no cassette, {where}") from error

    def _read(self, said: Any) -> Entry:
        request, answer, rules = said["request"], Answer.read(said["response"]), self.redaction.rules()
        known, _ = canonical(request["method"], request["path"], request.get("body"), rules)
        recorded = datetime.fromisoformat(str(said["recorded"]))
        if recorded.tzinfo is None:
            recorded = recorded.replace(tzinfo=UTC)
        if len(self.redaction.patterns) > len(self._head):
            # What the file still shows may be what another pattern hides.
            answer = answer.rewritten(rules)
        return Entry(known, answer, recorded.timestamp())

    def add(self, entry: Entry) -> None:
        """Put an entry behind the others, for `save` to write."""
        self._new.append(entry)

    def clear(self) -> None:
        """Forget all entries."""
        self.known = []

    def save(self) -> None:
        """Write the file, whole or not at all. Raises OSError."""
        patterns = list(dict.fromkeys([*self._head, *shown(self.redaction.patterns)]))
        head = _HEAD + _dump({"version": _VERSION} | ({"redact": patterns} if patterns else {}))
        entries = [*self.known, *self._new]
        self._texts += [_dump([_stored(entry)]) for entry in entries[len(self._texts) :]]
        text = head + ("entries:\n" + "".join(self._texts) if self._texts else "entries: []\n")
        written = self.path.with_name(f".{self.path.name}.{os.getpid()}.new")
        written.write_text(text, "utf-8")
        written.replace(self.path)

    # Answers

    def find(self, request: ModelRequest, now: float) -> Entry | None:
        """The entry that answers: of equal requests the first that has not been played yet, at last the last again.

        A request that differs from what was recorded only in times that meant "now" counts as equal to it.
        """
        equal = [entry for entry in self.known if entry.request.key == request.key]
        equal = equal or [entry for entry in self.known if _same_but_for_time(entry, request, now)]
        return next((entry for entry in equal if not entry.played), equal[-1] if equal else None)

    def difference(self, request: ModelRequest) -> str:
        """What the request has that the most similar one of the cassette has not, and the reverse, as a short diff."""
        others = [entry.request for entry in self.known if entry.request.path == request.path]
        if not others:
            return f"It has {len(self.known)} entries, none of them for {request.path}."
        leaves = Counter(_leaves(request.body))
        nearest = max(others, key=lambda other: _likeness(Counter(_leaves(other.body)), leaves))
        lines = list(unified_diff(_lines(nearest), _lines(request), n=1, lineterm=""))[2:]
        rest = [f"… and {len(lines) - _MOST_DIFFERENCES} lines more"] if len(lines) > _MOST_DIFFERENCES else []
        cut = [line if len(line) <= 2 * _WIDTH else f"{line[: 2 * _WIDTH]}…" for line in lines[:_MOST_DIFFERENCES]]
        return "\n".join([f"The nearest of its {len(self.known)} entries (-) differs from it (+):", *cut, *rest])


def _same_but_for_time(entry: Entry, request: ModelRequest, now: float) -> bool:
    moments = (entry.recorded, now)
    return entry.request.path == request.path and timeless(entry.request.text, moments) == timeless(
        request.text, moments
    )


def _leaves(value: Any, place: str = "") -> Iterator[str]:
    """What a JSON value holds, each with its place, as far as names tell it."""
    if isinstance(value, dict):
        for name, one in value.items():
            yield from _leaves(one, f"{place}.{name}")
    elif isinstance(value, list):
        for one in value:
            yield from _leaves(one, place)
    else:
        yield f"{place}: {value}"


def _likeness(one: Counter[str], other: Counter[str]) -> tuple[float, float]:
    """In what both hold, and where that says no more, in the letters of the rest."""
    left, right = ("".join(sorted(rest.elements())) for rest in (one - other, other - one))
    return (one & other).total() / max(one.total(), other.total(), 1), SequenceMatcher(None, left, right).quick_ratio()


def _lines(request: ModelRequest) -> list[str]:
    return _dump(_plain(request)).splitlines()


def _stored(entry: Entry) -> dict[str, Any]:
    recorded = datetime.fromtimestamp(entry.recorded, UTC).isoformat(timespec="seconds")
    return {"recorded": recorded, "request": _plain(entry.request), "response": entry.answer.stored()}


def _plain(request: ModelRequest) -> dict[str, Any]:
    plain = {"method": request.method, "path": request.path, "body": request.body}
    return plain if request.body is not None else {name: plain[name] for name in ("method", "path")}


# ---------------------------------------------------------------------------------------------------------------------
# YAML

# YAML reads them as line feeds where they are not escaped.
_LINE_BREAKS = re.compile("[\r\x85\u2028\u2029]")
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Dumper(yaml.SafeDumper):
    """Texts of several lines as blocks, no anchors. In Python: libyaml escapes emoji, and quotes all that is about."""

    def ignore_aliases(self, _data: Any) -> bool:
        """Each value where it stands."""
        return True


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    style = '"' if _LINE_BREAKS.search(text) else "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _list(dumper: _Dumper, items: Sequence[Any]) -> yaml.SequenceNode:
    numbers = all(isinstance(item, int | float) for item in items)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=numbers)


_Dumper.add_representer(str, _text)
_Dumper.add_representer(list, _list)


def _dump(value: Any) -> str:
    return yaml.dump(value, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=_WIDTH)
