"""The embedding model that comes along: all-MiniLM-L6-v2 as an int8 ONNX file, on the CPU."""

import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from understudy_retrieval.embedding.model_files import MODEL, TOKENIZER
from understudy_retrieval.errors import EmbeddingError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession  # type: ignore[import-untyped]
    from tokenizers import Tokenizer

DIMENSIONS = 384
_LONGEST = 256
# The model sees 256 word pieces. A text much longer than they can be is cut before it is split into them, which costs.
_MOST_CHARACTERS = 16_384
# In word pieces. Beyond this a batch outgrows the processor's cache: 2,048 cost a fifth more a token.
_BATCH = 512
_MOST_THREADS = 4


class MinilmEmbedder:
    """all-MiniLM-L6-v2. It is loaded when first used, and what it computes is shared out to a few threads."""

    name = "minilm"
    fingerprint = f"minilm/all-MiniLM-L6-v2/int8/{DIMENSIONS}"

    def __init__(self, folder: Path, *, threads: int | None = None) -> None:
        self._folder = folder
        self._threads = threads or min(_MOST_THREADS, _processors())
        self._lock = threading.Lock()
        self._loaded: _Loaded | None = None

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of unit length of the texts' first 256 word pieces. Raises EmbeddingError."""
        loaded = self._load()
        # One by one: the tokenizer's own batches start threads that do not outlive a fork.
        encoded = [np.array(loaded.tokenizer.encode(text[:_MOST_CHARACTERS]).ids, dtype=np.int64) for text in texts]
        vectors = np.empty((len(texts), DIMENSIONS), dtype=np.float32)

        def fill(batch: list[int]) -> None:
            vectors[batch] = loaded.run([encoded[text] for text in batch])

        batches = list(_batches([len(text) for text in encoded]))
        if len(batches) == 1:
            fill(batches[0])
        else:
            for _ in loaded.pool.map(fill, batches):
                pass
        return vectors

    def _load(self) -> "_Loaded":
        with self._lock:
            if self._loaded is None:
                self._loaded = _load(self._folder, self._threads)
            return self._loaded


@dataclass(frozen=True, slots=True)
class _Loaded:
    session: "InferenceSession"
    tokenizer: "Tokenizer"
    pool: ThreadPoolExecutor

    def run(self, batch: list[NDArray[np.int64]]) -> NDArray[np.float32]:
        """The vectors of a batch, which is padded to the longest in it."""
        ids = np.zeros((len(batch), max(map(len, batch))), dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, numbers in enumerate(batch):
            ids[row, : len(numbers)] = numbers
            mask[row, : len(numbers)] = 1
        try:
            return np.asarray(self.session.run(None, {"input_ids": ids, "attention_mask": mask})[0])
        except Exception as error:
            raise EmbeddingError(f"the embedding model failed: {error}") from error


def _load(folder: Path, threads: int) -> _Loaded:
    import onnxruntime
    from tokenizers import Tokenizer

    options = onnxruntime.SessionOptions()
    # A batch runs on one thread and several batches at once, which costs less a token than a batch on several threads.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    if not _multiplies_octets():
        options.add_session_config_entry("session.x64quantprecision", "1")
    try:
        tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
        session = onnxruntime.InferenceSession(str(folder / MODEL), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise EmbeddingError(
            f"the embedding model in {folder} cannot be loaded ({error}): understudy model build --force"
        ) from error
    tokenizer.enable_truncation(_LONGEST)
    tokenizer.no_padding()
    return _Loaded(session, tokenizer, ThreadPoolExecutor(threads, thread_name_prefix="minilm"))


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """The numbers of the texts, those of about the same length together."""
    batch: list[int] = []
    for text in sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True):
        if batch and (len(batch) + 1) * lengths[batch[0]] > _BATCH:
            yield batch
            batch = []
        batch.append(text)
    if batch:
        yield batch


def _multiplies_octets() -> bool:
    """Whether an x86 processor has VNNI. Without, sums of 8-bit products overflow unless asked to be exact, and slower.

    Tried on an emulated one: mean cosine to the exact model 0.990 with overflow, 0.995 without.
    """
    try:
        return "vnni" in Path("/proc/cpuinfo").read_text()
    except OSError:
        return False


def _processors() -> int:
    """Those that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
