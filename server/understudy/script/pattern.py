"""What a text is compared with: plain text, or a regular expression between slashes."""

import re
import warnings
from typing import Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

_REGEX = re.compile(r"/(.+)/([imsx]*)", re.DOTALL)


class Pattern:
    """Plain text or `/regular expression/flags`. Raises ValueError for one that is empty or no regular expression."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.regex: re.Pattern[str] | None = None
        if not source:
            raise ValueError("an empty text is in every text: leave it out, or write /^$/")
        if found := _REGEX.fullmatch(source):
            flags = "".join(sorted(set(found[2])))
            try:
                with warnings.catch_warnings(action="ignore"):
                    self.regex = re.compile(f"(?{flags}){found[1]}" if flags else found[1])
            except re.error as error:
                raise ValueError(f"not a regular expression: {error}") from error

    def find(self, text: str) -> dict[str, str | None] | None:
        """Groups by name and number where the regular expression is found in `text`, or none where plain text is.

        Plain text is found whatever its case. None where nothing is found.
        """
        if self.regex is None:
            return {} if self.source.casefold() in text.casefold() else None
        return self._groups(text)

    def fit(self, name: str) -> dict[str, str | None] | None:
        """The same for names, of which plain text has to be the whole, in their case."""
        if self.regex is None:
            return {} if self.source == name else None
        return self._groups(name)

    def _groups(self, text: str) -> dict[str, str | None] | None:
        assert self.regex is not None
        if not (found := self.regex.search(text)):
            return None
        return {str(number): found[number] for number in range(self.regex.groups + 1)} | found.groupdict()

    def names(self) -> set[str]:
        """The groups that `find` will know."""
        return set() if self.regex is None else set(map(str, range(self.regex.groups + 1))) | set(self.regex.groupindex)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pattern) and self.source == other.source

    def __hash__(self) -> int:
        return hash(self.source)

    def __str__(self) -> str:
        return self.source if self.regex else f'"{self.source}"'

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(cls, core_schema.str_schema(strict=True))
