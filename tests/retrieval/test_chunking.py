import random
from itertools import pairwise

import pytest

from understudy_retrieval.chunking import WINDOW, Chunking, window_count


@pytest.mark.parametrize(
    ("size", "overlap", "tokens", "spans"),
    [
        (800, 400, 0, [(0, 0)]),
        (800, 400, 800, [(0, 800)]),
        (800, 400, 801, [(0, 800), (400, 801)]),
        (800, 400, 1200, [(0, 800), (400, 1200)]),
        (100, 0, 250, [(0, 100), (100, 200), (200, 250)]),
    ],
)
def test_spans(size: int, overlap: int, tokens: int, spans: list[tuple[int, int]]) -> None:
    chunking = Chunking(size, overlap)
    assert [chunking.span(chunk, tokens) for chunk in range(chunking.count(tokens))] == spans


def test_chunks_cover_the_document_and_windows_cover_the_chunks() -> None:
    random.seed(3)
    for _ in range(500):
        size = random.randint(100, 4096)
        chunking = Chunking(size, random.randint(0, size // 2))
        tokens = random.randint(1, 20_000)
        spans = [chunking.span(chunk, tokens) for chunk in range(chunking.count(tokens))]
        assert spans[0][0] == 0
        assert spans[-1][1] == tokens
        for (_, end), (start, following) in pairwise(spans):
            assert end - start == chunking.overlap
            assert end < following
        first, end_window = chunking.windows(tokens)
        assert len(first) == len(spans)
        assert (first >= 0).all()
        assert (end_window <= window_count(tokens)).all()
        assert (first < end_window).all()
        for (start, end), window, after in zip(spans, first, end_window, strict=True):
            for number in range(window, after):
                assert number * WINDOW < end
                assert (number + 1) * WINDOW > start


def test_aligned_chunks_look_at_their_own_windows() -> None:
    first, end = Chunking(800, 400).windows(2000)
    assert first.tolist() == [0, 2, 4, 6]
    assert end.tolist() == [4, 6, 8, 10]
