"""An embedding model for tests of what surrounds one: quick, deterministic, and near where words are shared."""

import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from understudy_retrieval.errors import EmbeddingError

DIMENSIONS = 64


class HashingEmbedder:
    """Sums a random direction for each word. `fails_after` texts it breaks; `embedded` counts them."""

    def __init__(self, name: str = "hashing") -> None:
        self.name = name
        self.fingerprint = f"{name}/{DIMENSIONS}"
        self.embedded = 0
        self.fails_after: int | None = None

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        if self.fails_after is not None and self.embedded + len(texts) > self.fails_after:
            raise EmbeddingError("the model is away")
        self.embedded += len(texts)
        return np.stack([self._vector(text) for text in texts])

    def _vector(self, text: str) -> NDArray[np.float32]:
        seeds = [zlib.crc32(word.encode()) for word in text.lower().split()] or [0]
        total = np.zeros(DIMENSIONS)
        for seed in set(seeds):
            total += np.random.default_rng(seed).standard_normal(DIMENSIONS)
        return np.asarray(total / np.linalg.norm(total), np.float32)
