"""What must not get into a cassette: keys, and whatever the user's patterns match."""

import re
from collections.abc import Iterable, Mapping, Sequence

from understudy.cassettes.rewriting import Rule

_KEY = "<key>"
_REDACTED = "<redacted>"
_LIKE_KEYS = re.compile(r"(?<![A-Za-z0-9])sk-[A-Za-z0-9_-]{8,}|(?<=Bearer )[A-Za-z0-9._~+/=-]{8,}")
_SECRET_HEADERS = ("authorization", "api-key", "x-api-key", "cookie", "openai-organization", "openai-project")
_SHORTEST_KEY = 8  # characters: shorter ones are words that servers without keys are given


class Redaction:
    """The rules that take secrets out of text. A pattern is a regular expression."""

    def __init__(self, patterns: Sequence[str]) -> None:
        self.patterns = tuple(dict.fromkeys(patterns))
        self._rules: list[Rule] = [(re.compile(pattern), lambda _: _REDACTED) for pattern in self.patterns]

    def rules(self, headers: Mapping[str, str] | None = None) -> list[Rule]:
        """The rules for a request with these headers, whose keys its answer may repeat."""
        keys = {headers[name].rpartition(" ")[2] for name in _SECRET_HEADERS if name in headers} if headers else set()
        known = [(re.compile(re.escape(key)), _key) for key in sorted(keys) if len(key) >= _SHORTEST_KEY]
        return [*known, (_LIKE_KEYS, _key), *self._rules]

    def __add__(self, patterns: Iterable[str]) -> "Redaction":
        return Redaction((*self.patterns, *patterns))


def shown(patterns: Iterable[str]) -> list[str]:
    """The patterns that a file may show: one that matches its own text may be the secret itself."""
    return [pattern for pattern in patterns if not re.search(pattern, pattern)]


def _key(_match: re.Match[str]) -> str:
    return _KEY
