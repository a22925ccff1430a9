"""Replacing text by rules wherever it stands: in strings, in JSON, in streams whose text comes in pieces."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson

Replacement = Callable[[re.Match[str]], str]
Rule = tuple[re.Pattern[str], Replacement]
"""What is looked for, and what stands there instead."""

_SHORTEST_NUMBER = 100_000  # shorter ones count things
_NOT_TEXT = frozenset(("id", "type", "role", "name"))
_LANE_KEYS = ("type", "item_id", "output_index", "content_index", "summary_index")


def in_text(text: str, rules: Sequence[Rule]) -> str:
    """The text with every match replaced."""
    for pattern, replacement in rules:
        text = pattern.sub(partial(_stands, replacement), text)
    return text


def _stands(replacement: Replacement, match: re.Match[str]) -> str:
    return replacement(match) if match[0] else ""


def in_json(value: Any, rules: Sequence[Rule]) -> Any:
    """The same in all strings of a JSON value, names included, and in whole numbers that a rule matches as a whole."""
    if isinstance(value, dict):
        return {in_text(name, rules): in_json(one, rules) for name, one in value.items()}
    if isinstance(value, list):
        return [in_json(one, rules) for one in value]
    if isinstance(value, str):
        return in_text(value, rules)
    if isinstance(value, int) and abs(value) >= _SHORTEST_NUMBER:
        found = (use(match) for pattern, use in rules if (match := pattern.fullmatch(str(value))))
        return next(found, value)
    return value


def in_body(text: str, rules: Sequence[Rule]) -> str:
    """The same in a body: inside its strings where it is JSON; word for word where nothing matches."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return in_text(text, rules)
    changed = in_json(value, rules)
    return text if changed == value else orjson.dumps(changed).decode()


def in_events(events: Sequence[str], rules: Sequence[Rule]) -> list[str]:
    """The same in the events of a stream, also where a match spans several: the first one then gets all of it."""
    parsed = [_Event(text) for text in events]
    lanes: dict[tuple[object, ...], list[_Piece]] = {}
    for event in parsed:
        for lane, piece in event.pieces():
            lanes.setdefault(lane, []).append(piece)
    for pieces in lanes.values():
        for rule in rules:
            _rewrite(pieces, rule)
    return [event.rewritten(rules) for event in parsed]


class _Event:
    """One event, as text and, where its one `data:` line holds JSON, as that."""

    def __init__(self, text: str) -> None:
        self._lines = text.split("\n")
        data = [number for number, line in enumerate(self._lines) if line.startswith("data:")]
        self._place = data[0] if len(data) == 1 else None
        self._value: Any = None
        self.changed = False
        if self._place is not None:
            try:
                self._value = orjson.loads(self._lines[self._place][5:])
            except orjson.JSONDecodeError:
                self._place = None

    def pieces(self) -> "Iterator[tuple[tuple[object, ...], _Piece]]":
        """The pieces of text that it carries, each with the lane that continues it from event to event."""
        if isinstance(self._value, dict):
            lane = tuple(self._value.get(key) for key in _LANE_KEYS if not isinstance(self._value.get(key), dict))
            yield from self._under(self._value, lane, within=False)

    def _under(
        self, node: dict[str, Any], lane: tuple[object, ...], *, within: bool
    ) -> "Iterator[tuple[tuple[object, ...], _Piece]]":
        for name, value in node.items():
            if isinstance(value, str) and name not in _NOT_TEXT and (within or name in ("delta", "text")):
                yield (*lane, name), _Piece(self, node, name)
            for position, part in enumerate(value if isinstance(value, list) else [value]):
                if isinstance(part, dict):
                    place = part.get("index", position)
                    yield from self._under(part, (*lane, name, place), within=within or name == "delta")

    def rewritten(self, rules: Sequence[Rule]) -> str:
        """The event's text; as it was where nothing has changed."""
        if self._place is None:
            return in_text("\n".join(self._lines), rules)
        changed = in_json(self._value, rules)
        if self.changed or changed != self._value:
            self._lines[self._place] = f"data: {orjson.dumps(changed).decode()}"
        return "\n".join(self._lines)


@dataclass(frozen=True, slots=True)
class _Piece:
    """A string in an event that goes on in the next one."""

    event: _Event
    holder: dict[str, Any]
    name: str

    @property
    def text(self) -> str:
        found: str = self.holder[self.name]
        return found

    def cut(self, start: int, end: int, replacement: str) -> None:
        """Put `replacement` in the place of a part."""
        self.holder[self.name] = self.text[:start] + replacement + self.text[end:]
        self.event.changed = True


def _rewrite(pieces: Sequence[_Piece], rule: Rule) -> None:
    pattern, replacement = rule
    matches = [match for match in pattern.finditer("".join(piece.text for piece in pieces)) if match[0]]
    for match in reversed(matches):
        if (stands := replacement(match)) == match[0]:
            continue
        offset = 0
        for piece in pieces:
            start, end = match.start() - offset, match.end() - offset
            offset += len(piece.text)
            if start < len(piece.text) and end > 0:
                piece.cut(max(start, 0), end, stands if start >= 0 else "")
