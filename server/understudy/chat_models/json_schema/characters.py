"""What one character of a regular expression may be.

`\\d`, `\\w` and `\\s` are wider in Python than in JavaScript, by which JSON Schema means its patterns: a character fits
where both say so.
"""

import string
from dataclasses import dataclass
from typing import Any

_ASCII = string.ascii_letters + string.digits + " " + string.punctuation
_RANGED = ("LITERAL", "RANGE")
_OTHERS = "éßжαあ中한\u00a0\t\n"


@dataclass(frozen=True, slots=True)
class Characters:
    """A set of characters: those of the ranges and categories, or where `negated` all others."""

    ranges: tuple[tuple[int, int], ...] = ()
    categories: tuple[str, ...] = ()
    negated: bool = False
    any_case: bool = False

    def fits(self, character: str) -> bool:
        """Whether it is in the set."""
        forms = {character, character.lower(), character.upper()} if self.any_case else {character}
        return any(self._has(form, wide=self.negated) for form in forms if len(form) == 1) != self.negated

    def _has(self, character: str, *, wide: bool) -> bool:
        code = ord(character)
        in_a_range = any(low <= code <= high for low, high in self.ranges)
        return in_a_range or any(_in_category(character, category, wide=wide) for category in self.categories)

    def edges(self) -> set[str]:
        """The characters at which the set begins or ends."""
        codes = {code + n for low, high in self.ranges for code in (low, high) for n in (-1, 0, 1)}
        return {chr(code) for code in codes if 32 <= code <= 0x10FFFF and not 0xD800 <= code <= 0xDFFF}


EVERY = Characters(negated=True)
WORD = Characters(categories=("WORD",))
_NOT_A_LINE_END = Characters(((0x0A, 0x0A), (0x0D, 0x0D), (0x2028, 0x2029)), negated=True)


def _in_category(character: str, category: str, *, wide: bool) -> bool:
    kind = category.removeprefix("NOT_")
    if kind != category:
        return not _in_category(character, kind, wide=not wide)
    match kind:
        case "DIGIT":
            return character.isdecimal() and (wide or character.isascii())
        case "WORD":
            return (character.isalnum() or character == "_") and (wide or character.isascii())
    return character.isspace() if wide else character in " \t\n\r\f\v\u00a0\u2003\u3000"


def of_token(kind: str, argument: Any, *, any_case: bool, any_line: bool) -> Characters | None:
    """The set that a token of Python's parser means, None where the token is of another kind."""
    match kind:
        case "LITERAL" | "NOT_LITERAL":
            return Characters(((argument, argument),), negated=kind == "NOT_LITERAL", any_case=any_case)
        case "ANY":
            return EVERY if any_line else _NOT_A_LINE_END
        case "IN":
            members = [(token.name, value) for token, value in argument]
            ranges = [value if name == "RANGE" else (value, value) for name, value in members if name in _RANGED]
            categories = [str(value).removeprefix("CATEGORY_") for name, value in members if name == "CATEGORY"]
            negated = any(name == "NEGATE" for name, _ in members)
            return Characters(tuple(ranges), tuple(categories), negated, any_case)
    return None


def alike(sets: set[Characters]) -> list[str]:
    """The characters to write with, each string those that no set tells apart, plain ones first."""
    edges = sorted(set().union(*(one.edges() for one in sets)))
    others = "" if WORD in sets else _OTHERS  # programs differ on which of these are of a word
    found: dict[tuple[bool, ...], str] = {}
    for character in dict.fromkeys([*_ASCII, *others, *edges]):
        signature = tuple(one.fits(character) for one in sets)
        found[signature] = found.get(signature, "") + character
    return list(found.values())
