"""What the rest of the package asks of an embedding model."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Embedder(Protocol):
    """An embedding model. Its methods block and may be called from several threads at once."""

    @property
    def name(self) -> str:
        """As the setting `embedder` names it: `minilm`, `sentence-transformers:NAME`, `upstream:NAME`."""
        ...

    @property
    def fingerprint(self) -> str:
        """Tells vectors apart that must not be mixed: the model, its quantisation, its dimensions."""
        ...

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of unit length, shape (texts, dimensions). Raises EmbeddingError."""
        ...
