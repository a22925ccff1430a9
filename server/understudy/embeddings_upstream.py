"""Any embeddings server behind a base URL, as an embedder of retrieval: it blocks, in worker threads."""

import time
from collections.abc import Sequence
from typing import Any

import httpx
import numpy as np
import orjson
from numpy.typing import NDArray

from understudy.cassettes.deck import PATH, Deck
from understudy.cassettes.transport import NO_UPSTREAM, BlockingCassetteTransport
from understudy.errors import CassetteMissError
from understudy_retrieval.errors import EmbeddingError, EmbeddingRefusedError

_AT_ONCE = 100  # texts
_RETRIES = 2
_PAUSE = 1.0  # second before the first
_TIMEOUT = httpx.Timeout(connect=10.0, read=120.0, write=60.0, pool=60.0)


def _client(transport: httpx.BaseTransport | None = None) -> httpx.Client:
    return httpx.Client(transport=transport, timeout=_TIMEOUT)


class UpstreamEmbedder:
    """The upstream's embeddings of one model."""

    def __init__(self, url: str | None, key: str | None, model: str, deck: Deck | None = None) -> None:
        self._url = httpx.URL(url or NO_UPSTREAM)
        self._key = key
        self._model = model
        self._azure = "api-version" in self._url.params or self._url.host.endswith(
            (".azure.com", ".azure.us", ".azure.cn")
        )
        self._client = _client() if deck is None else _client(BlockingCassetteTransport(deck, _client))
        self._dimensions: int | None = None

    @property
    def name(self) -> str:
        """As the setting names it."""
        return f"upstream:{self._model}"

    @property
    def fingerprint(self) -> str:
        """The model's name and its dimensions, for which it is asked once. Raises EmbeddingError."""
        if self._dimensions is None:
            self.embed(["how long is a vector"])
        return f"{self.name}/{self._dimensions}"

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of unit length. Raises EmbeddingError."""
        portions = [self._some(texts[first : first + _AT_ONCE]) for first in range(0, len(texts), _AT_ONCE)]
        return np.concatenate(portions)

    def _some(self, texts: Sequence[str]) -> NDArray[np.float32]:
        # Some servers refuse an empty text.
        body = {"model": self._model, "input": [text or " " for text in texts], "encoding_format": "float"}
        vectors = _vectors(self._post(orjson.dumps(body)), len(texts))
        if vectors is None or self._dimensions not in (None, vectors.shape[1]):
            raise EmbeddingError(f"{self._place} did not answer with {len(texts)} embeddings of {self._model}")
        self._dimensions = vectors.shape[1]
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.asarray(vectors / np.maximum(lengths, np.finfo(np.float32).tiny), np.float32)

    def _post(self, content: bytes) -> bytes:
        for attempt in range(_RETRIES + 1):
            if attempt:
                time.sleep(_PAUSE * attempt)
            try:
                response = self._client.post(
                    self._endpoint(), content=content, headers=self._headers(), extensions={PATH: "embeddings"}
                )
            except CassetteMissError as error:
                raise EmbeddingRefusedError(error.message) from error
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                failure = f"{self._place} is unreachable ({str(error) or type(error).__name__})"
                continue
            if response.status_code == 200:
                return response.content
            failure = f"{self._place} answered {response.status_code}: {response.text[:500].strip()}"
            if response.status_code != 429 and response.status_code < 500:
                break
        raise EmbeddingError(failure.replace(self._key, "***") if self._key else failure)

    @property
    def _place(self) -> str:
        return f"The upstream {self._url.scheme}://{self._url.netloc.decode()}"

    def _endpoint(self) -> httpx.URL:
        base = self._url.path.rstrip("/")
        if self._azure and "/deployments/" not in base and not base.endswith("/v1"):
            base = f"{base.removesuffix('/openai')}/openai/deployments/{self._model}"
        return self._url.copy_with(path=f"{base}/embeddings")

    def _headers(self) -> dict[str, str]:
        headers = {"content-type": "application/json"}
        if self._key:
            headers |= {"api-key": self._key} if self._azure else {"authorization": f"Bearer {self._key}"}
        return headers


def _vectors(content: bytes, count: int) -> NDArray[np.float32] | None:
    """The answer's vectors in the order of the texts, None where it is something else."""
    try:
        items: list[Any] = sorted(orjson.loads(content)["data"], key=lambda item: item["index"])
        vectors = np.asarray([item["embedding"] for item in items], np.float32)
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        return None
    fits = vectors.ndim == 2 and len(vectors) == count and vectors.size
    return vectors if fits and np.isfinite(vectors).all() else None
