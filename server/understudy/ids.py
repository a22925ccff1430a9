"""Ids with the API's prefixes, and suffixes of alphanumerics or, for some, hexadecimal digits."""

import random
import secrets
import string
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_ALPHABET = string.ascii_letters + string.digits
_HEX = "0123456789abcdef"
_SUFFIX_LENGTHS = {"file": 22}
_SEPARATORS = {"file": "-"}
_HEXADECIMAL = ("vs", "vsfb", "upload", "part")


class Ids:
    """Where ids come from: chance, or a seed, from which the same ones come in the same order."""

    def __init__(self) -> None:
        self._seed: str | None = None
        self._drawn: Counter[str] = Counter()
        self._chosen: dict[str, list[str]] = {}

    def seed(self, seed: str | None) -> None:
        """Begin again from a seed; None goes back to chance."""
        self._seed = seed
        self._drawn.clear()

    def choose(self, ids: dict[str, list[str]]) -> None:
        """Let these whole ids, by prefix, come before any other."""
        for prefix, chosen in ids.items():
            self._chosen.setdefault(prefix, []).extend(chosen)

    def chosen(self, prefix: str) -> str | None:
        """The next id that was chosen for a prefix, if there is one."""
        waiting = self._chosen.get(prefix)
        return waiting.pop(0) if waiting else None

    def suffix(self, prefix: str, alphabet: str, length: int) -> str:
        """The next suffix of a prefix; each prefix counts for itself, so that runs side by side do not matter."""
        self._drawn[prefix] += 1
        seed = secrets.token_bytes() if self._seed is None else f"{self._seed} {prefix} {self._drawn[prefix]}"
        return "".join(random.Random(seed).choices(alphabet, k=length))


_CHANCE = Ids()
_current: ContextVar[Ids] = ContextVar("ids", default=_CHANCE)


@contextmanager
def using(ids: Ids) -> Iterator[None]:
    """Give the block, and every task that begins in it, another source of ids."""
    token = _current.set(ids)
    try:
        yield
    finally:
        _current.reset(token)


def new_id(prefix: str) -> str:
    """A fresh id such as `thread_` and 24 alphanumerics (`file-` and 22, `vs_` and 32, as the hosted API's)."""
    source = _current.get()
    if chosen := source.chosen(prefix):
        return chosen
    if prefix in _HEXADECIMAL:
        return f"{prefix}_{source.suffix(prefix, _HEX, 32)}"
    suffix = source.suffix(prefix, _ALPHABET, _SUFFIX_LENGTHS.get(prefix, 24))
    return f"{prefix}{_SEPARATORS.get(prefix, '_')}{suffix}"
