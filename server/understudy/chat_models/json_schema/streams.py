"""Values that are made when they are asked for, and their combinations."""

from collections.abc import Callable, Iterator
from itertools import combinations, count, pairwise
from typing import Any


class Stream:
    """Values that are made when they are asked for, and kept."""

    def __init__(self, values: Iterator[Any]) -> None:
        self._values = values
        self.seen: list[Any] = []

    def has(self, place: int) -> bool:
        """Whether there are so many; `seen` has the one at `place` then."""
        while len(self.seen) <= place:
            try:
                self.seen.append(next(self._values))
            except StopIteration:
                return False
        return True


def combined(streams: list[Stream], spend: Callable[[int], None]) -> Iterator[list[Any]]:
    """Every combination of a value of each, the first ones first."""
    for total in count():
        found = False
        for dividers in combinations(range(total + len(streams) - 1), max(0, len(streams) - 1)):
            spend(1 + len(streams) // 8)
            edges = (-1, *dividers, total + len(streams) - 1)
            places = [high - low - 1 for low, high in pairwise(edges)]
            if all(stream.has(place) for stream, place in zip(streams, places, strict=False)):
                found = True
                yield [stream.seen[place] for stream, place in zip(streams, places, strict=False)]
        if not found or not streams:
            return
