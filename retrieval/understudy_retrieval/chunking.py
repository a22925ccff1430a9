"""Where a document is cut: chunks by the store's strategy, windows for the embedding model on a fixed grid.

Both are counted in cl100k tokens. Windows do not depend on the strategy, so that another one costs no embedding.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

WINDOW = 200
"""Tokens of a window: what the default model reads without cutting it off."""
MAX_TOKENS = 5_000_000
"""Tokens of a file [D]."""


@dataclass(frozen=True, slots=True)
class Chunking:
    """The static strategy: chunks of `size` tokens, each sharing `overlap` with the one before it."""

    size: int
    overlap: int

    @property
    def stride(self) -> int:
        """Tokens from one chunk's start to the next one's."""
        return self.size - self.overlap

    def count(self, tokens: int) -> int:
        """How many chunks a document has; the last one ends with it."""
        return 1 if tokens <= self.size else -(-(tokens - self.overlap) // self.stride)

    def span(self, chunk: int, tokens: int) -> tuple[int, int]:
        """The tokens of a chunk: the first one, and the one after the last."""
        start = chunk * self.stride
        return start, min(start + self.size, tokens)

    def windows(self, tokens: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """For each chunk the windows whose middle lies in it, as first and end; at least one.

        A window that reaches into a chunk by less than its half says more about the neighbour.
        """
        starts = np.arange(self.count(tokens), dtype=np.int64) * self.stride
        ends = np.minimum(starts + self.size, tokens)
        middle = (starts + ends) // 2 // WINDOW
        first = np.minimum(-(-(starts - WINDOW // 2) // WINDOW), middle).clip(0)
        end = np.maximum(-(-(ends - WINDOW // 2) // WINDOW), middle + 1)
        return first, np.minimum(end, window_count(tokens))


def window_count(tokens: int) -> int:
    """How many windows a document has."""
    return max(1, -(-tokens // WINDOW))
