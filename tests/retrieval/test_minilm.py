"""The embedding model that comes along: right against the reference, in any order, from any thread."""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tests.retrieval.reference import TEXTS, cosines
from understudy_retrieval.embedding import minilm, model_files
from understudy_retrieval.embedding.base import Embedder
from understudy_retrieval.embedding.minilm import MinilmEmbedder
from understudy_retrieval.embedding.model_files import find_model
from understudy_retrieval.errors import EmbeddingError


@pytest.fixture(scope="module")
def folder() -> Path:
    found = find_model()
    assert found is not None, "understudy model build"
    return found


@pytest.fixture(scope="module")
def embedder(folder: Path) -> Embedder:
    return MinilmEmbedder(folder)


def test_it_agrees_with_sentence_transformers(embedder: Embedder) -> None:
    vectors = embedder.embed(TEXTS)
    assert vectors.dtype == np.float32
    assert vectors.shape == (len(TEXTS), 384)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert cosines(vectors).min() >= 0.98
    assert cosines(vectors).mean() >= 0.99
    assert embedder.fingerprint.endswith("/384")


def test_many_texts_keep_their_order(embedder: Embedder) -> None:
    texts = [
        f"Paragraph {number} is about {'cats' if number % 3 else 'tax law'}. " * (1 + number % 40)
        for number in range(90)
    ]
    together = embedder.embed(texts)
    alone = np.concatenate([embedder.embed([text]) for text in texts])
    # Not equal: 8-bit activations are scaled by what else is in the batch.
    assert (together * alone).sum(axis=1).min() > 0.98


def test_no_text_and_no_texts(embedder: Embedder) -> None:
    assert embedder.embed([]).shape == (0, 384)
    assert np.isfinite(embedder.embed(["", " \n", "\x00\ufffd"])).all()


def test_a_long_text_counts_for_its_begin(embedder: Embedder) -> None:
    begin = "The committee met on Tuesday to discuss the budget. " * 100
    started = time.thread_time()
    vectors = embedder.embed([begin, begin + "Nothing else was said about cats. " * 150_000, "a" * 5_000_000])
    assert time.thread_time() - started < 2
    assert vectors[0] @ vectors[1] > 0.999


def test_threads_share_it(folder: Path) -> None:
    fresh = MinilmEmbedder(folder, threads=2)
    with ThreadPoolExecutor(8) as pool:
        for vectors in pool.map(fresh.embed, [TEXTS] * 16):
            assert cosines(vectors).mean() >= 0.99


def test_a_processor_without_vnni_is_asked_to_be_exact(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = MinilmEmbedder(folder).embed(TEXTS)
    monkeypatch.setattr(minilm, "_multiplies_octets", lambda: False)
    assert np.allclose(MinilmEmbedder(folder).embed(TEXTS), expected, atol=0.02)


def test_nothing_heavy_is_imported_before_it_is_used(folder: Path) -> None:
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from understudy_retrieval.embedding.minilm import MinilmEmbedder\n"
        "from understudy_retrieval.embedding.model_files import find_model\n"
        f"embedder = MinilmEmbedder(Path({str(folder)!r}))\n"
        "print(find_model(), embedder.name, embedder.fingerprint, {'onnxruntime', 'tokenizers'} & sys.modules.keys())"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.endswith("minilm minilm/all-MiniLM-L6-v2/int8/384 set()\n")


def test_a_damaged_model_says_what_to_do(folder: Path, tmp_path: Path) -> None:
    (tmp_path / model_files.MODEL).write_bytes((folder / model_files.MODEL).read_bytes()[:1000])
    (tmp_path / model_files.TOKENIZER).write_bytes((folder / model_files.TOKENIZER).read_bytes())
    with pytest.raises(EmbeddingError, match="understudy model build --force"):
        MinilmEmbedder(tmp_path).embed(["text"])


def test_the_model_is_looked_for_in_the_package_then_in_the_cache(tmp_path: Path) -> None:
    package, cache = tmp_path / "package", tmp_path / "cache"
    assert find_model([package, cache]) is None
    for folder in (cache, package):
        folder.mkdir()
        (folder / model_files.TOKENIZER).touch()
        assert find_model([folder]) is None
        (folder / model_files.MODEL).touch()
        assert find_model([package, cache]) == folder
