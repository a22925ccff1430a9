"""The values that a text offers for a schema: its numbers, quoted phrases, named things."""

import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from typing import Any

# How a format looks in a text, and an example of it.
FORMATS = {
    "date": (r"\b\d{4}-\d\d-\d\d\b", "2026-01-{:02}"),
    "date-time": (r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:Z|[+-]\d\d:\d\d)", "2026-01-{:02}T12:00:00Z"),
    "time": (r"\b[01]\d:[0-5]\d:[0-5]\dZ", "12:00:{:02}Z"),
    "duration": (r"\bP\d+D\b", "P{}D"),
    "email": (r"\b[\w.+-]+@\w[\w-]*(?:\.\w[\w-]*)+", "user{}@example.com"),
    "hostname": (r"\b(?:[a-z]\w*\.)+[a-z]{2,}\b", "host{}.example.com"),
    "ipv4": (r"\b(?:1?\d?\d\.){3}1?\d?\d\b", "192.0.2.{}"),
    "ipv6": (r"\b2001:db8::\d\b", "2001:db8::{}"),
    "uri": (r"\bhttps?://[\w./?=&%:#-]*[\w/]", "https://example.com/{}"),
    "uuid": (r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "00000000-0000-4000-8000-{:012}"),
}
_NUMBER = r"(?<![\w.])-?\d{1,15}(?:\.\d{1,15})?(?!\w)"
_QUOTED = r"\"([^\"\n]+)\"|“([^”\n]+)”|(?<!\w)'([^'\n]+)'(?!\w)|`([^`\n]+)`"
_NAMED_THING = r"(?i)city|location|place|town|country|region|destination|address|symbol|ticker|company|person"
_THING = r"\b(?:[Ii]n|[Ff]or|[Aa]t|[Oo]f)\s+([^\W\d_a-z][\w'’]*(?:[ -][^\W\d_a-z][\w'’]*)*(?:, [A-Z]{2}\b)?)"
_TEXT_NAME = r"(?i)(?:.*_)?(?:query|question|prompt|text|input|message|content)"


class Words:
    """What a text offers as values; each of its numbers and quoted phrases is used once."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.plain = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", text)  # 1,000 is a number
        self.numbers = [_number(found) for found in re.findall(_NUMBER, self.plain)]
        self.quoted = ["".join(groups) for groups in re.findall(_QUOTED, text)]

    def used(self, value: Any) -> None:
        """Take a value away: it has its place."""
        for offers in (self.numbers, self.quoted):
            if not isinstance(value, bool) and value in offers:
                offers.remove(value)

    def mention(self, value: Any) -> bool:
        """Whether the text names this value."""
        words = re.escape(re.sub(r"[_-]", " ", str(value)))
        text = re.sub(r"[_-]", " ", self.text)
        return value is not None and re.search(rf"(?i)(?<!\w){words}(?!\w)", text) is not None

    def for_number(self, name: str) -> Iterator[float]:
        """Numbers for a property of that name, those beside the name first."""
        if name:
            before = rf"(?i)(?<!\w){_spelled(name)}[\"']?(?:\s*[:=]|\s+is|\s+of)?\s*({_NUMBER})"
            after = rf"(?i)({_NUMBER})\s+{_spelled(name)}(?!\w)"
            yield from map(_number, re.findall(before, self.plain) + re.findall(after, self.plain))
        yield from self.numbers

    def for_string(self, name: str) -> Iterator[str]:
        """Phrases for a property of that name, those beside the name first."""
        if name:
            named = rf"(?i)(?<!\w){_spelled(name)}[\"']?\s*[:=]\s*(?:[\"']([^\"'\n]+)|([^\s\"',;]+))"
            yield from ("".join(groups) for groups in re.findall(named, self.text))
        if re.search(_NAMED_THING, name):
            yield from re.findall(_THING, self.text)
        yield from self.quoted
        if re.fullmatch(_TEXT_NAME, name) and self.text:
            yield self.text

    def for_format(self, name: str) -> Iterator[str]:
        """What looks like the format of that name."""
        for found in re.findall(FORMATS[name][0], self.text):
            with suppress(ValueError):  # there is no 31st of February
                if name.startswith("date"):
                    datetime.fromisoformat(found)
                yield found


def _number(text: str) -> float:
    return float(text) if "." in text else int(text)


def _spelled(name: str) -> str:
    """A regular expression for a property's name as people write it: `max_price` also as `max price`."""
    words = re.findall(r"[^\W_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name))
    return r"[\s_-]*".join(words) or re.escape(name)
