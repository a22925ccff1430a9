"""The values that a text offers for a schema: its numbers, quoted phrases, named things."""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple


class Form(NamedTuple):
    """A format: what it looks like in a text, and an example for a number of up to two digits."""

    name: str
    looks: str
    sample: str

    @property
    def whole(self) -> str:
        """The regular expression of a whole string of that format."""
        return f"^(?:{self.looks})$"


_DATE = r"\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])"
_TIME = r"(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d+)?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)"
_BYTE = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_EMAIL = rf"[A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*@{_LABEL}(?:\.{_LABEL})+"
_URI = r"[A-Za-z][A-Za-z0-9+-]*://[A-Za-z0-9][A-Za-z0-9.:-]*(?:/[\w.~?=&%:#+/-]*)?"
_PAIR = "[0-9a-fA-F]{1,4}"
_UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
FORMATS = {
    form.name: form
    for form in (
        Form("date", _DATE, "2026-01-{:02}"),
        Form("date-time", rf"{_DATE}T{_TIME}", "2026-01-{:02}T12:00:00Z"),
        Form("time", _TIME, "12:00:{:02}Z"),
        Form("duration", r"P(?:\d+W|\d+D(?:T\d+H)?|T\d+[HMS])", "P{}D"),
        Form("email", _EMAIL, "user{}@example.com"),
        Form("idn-email", _EMAIL, "user{}@example.com"),
        Form("hostname", rf"{_LABEL}(?:\.{_LABEL})*", "host{}.example.com"),
        Form("idn-hostname", rf"{_LABEL}(?:\.{_LABEL})*", "host{}.example.com"),
        Form("ipvanyaddress", rf"{_BYTE}(?:\.{_BYTE}){{3}}", "192.0.2.{}"),  # pydantic's
        Form("ipv4", rf"{_BYTE}(?:\.{_BYTE}){{3}}", "192.0.2.{}"),
        Form(
            "ipv6",
            r"(?:[0-9a-fA-F]{1,4}:){7}[0-9a-fA-F]{1,4}|(?:[0-9a-fA-F]{1,4}:){1,6}:[0-9a-fA-F]{1,4}|::1",
            "2001:db8::{}",
        ),
        Form("uri", _URI, "https://example.com/{}"),
        Form("url", _URI, "https://example.com/{}"),
        Form("iri", _URI, "https://example.com/{}"),
        Form("uri-reference", rf"{_URI}|/[\w./-]*", "https://example.com/{}"),
        Form("iri-reference", rf"{_URI}|/[\w./-]*", "https://example.com/{}"),
        Form("uri-template", rf"{_URI}(?:\{{\w+\}})?", "https://example.com/{}"),
        Form(
            "uuid",
            r"[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
            "00000000-0000-4000-8000-{:012}",
        ),
        Form("json-pointer", r"(?:/[\w-]*)*", "/key_{}"),
        Form("relative-json-pointer", r"\d(?:/[\w-]*)*", "1/key_{}"),
        Form("regex", r"\^?[\w .+*]*\$?", "^value{}$"),
        Form("byte", r"(?:[A-Za-z0-9+/]{4})+", "ZXhh{:02}Zw"),
        Form("json-string", r"\d|[1-9]\d+", "{}"),
    )
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
        yield from list(self.numbers)

    def for_string(self, name: str) -> Iterator[str]:
        """Phrases for a property of that name, those beside the name first."""
        if name:
            named = rf"(?i)(?<!\w){_spelled(name)}[\"']?\s*[:=]\s*(?:[\"']([^\"'\n]+)|([^\s\"',;]+))"
            yield from ("".join(groups) for groups in re.findall(named, self.text))
        if re.search(_NAMED_THING, name):
            yield from re.findall(_THING, self.text)
        yield from list(self.quoted)
        if re.fullmatch(_TEXT_NAME, name) and self.text:
            yield self.text

    def for_format(self, form: Form) -> Iterator[str]:
        """What looks like that format."""
        yield from re.findall(rf"(?<![\w.:/-])(?:{form.looks})(?![\w/-])", self.text)


def _number(text: str) -> float:
    return float(text) if "." in text else int(text)


def _spelled(name: str) -> str:
    """A regular expression for a property's name as people write it: `max_price` also as `max price`."""
    words = re.findall(r"[^\W_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name))
    return r"[\s_-]*".join(words) or re.escape(name)
