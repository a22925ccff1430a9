from pathlib import Path

import pytest

from understudy_retrieval import RetrievalError
from understudy_retrieval.evaluation import ndcg, read, recall


def test_ndcg() -> None:
    assert ndcg(["a", "b"], {"a": 1}) == 1
    assert ndcg(["b", "a"], {"a": 1}) == pytest.approx(0.6309, abs=1e-4)
    assert ndcg(["a", "x", "b"], {"a": 3, "b": 1}) == pytest.approx((3 + 0.5) / (3 + 0.6309), abs=1e-4)
    assert ndcg([], {"a": 1}) == 0
    assert ndcg(["a"], {}) == 0
    assert ndcg([*"xxxxxxxxxx", "a"], {"a": 1}) == 0


def test_recall() -> None:
    assert recall(["a", "x", "b"], {"a": 1, "b": 2}) == 1
    assert recall([*"xxxxx", "a"], {"a": 1}) == 0
    assert recall(["a"], {"a": 1, "b": 1}) == 0.5


@pytest.mark.parametrize("heading", ["", "query-id\tcorpus-id\tscore\n"])
def test_reading(tmp_path: Path, heading: str) -> None:
    (tmp_path / "corpus.jsonl").write_text('{"_id": "d1", "title": "T", "text": "x"}\n\n{"_id": "d2", "text": "y"}\n')
    (tmp_path / "queries.jsonl").write_text('{"_id": "q1", "text": "why"}\n{"_id": "q2", "text": "unjudged"}\n')
    (tmp_path / "qrels.tsv").write_text(f"{heading}q1\td2\t2\nq1\td1\t0\n")
    collection = read(tmp_path)
    assert collection.documents == {"d1": "T\nx", "d2": "y"}
    assert collection.queries == {"q1": "why"}
    assert collection.judgements == {"q1": {"d2": 2}}


def test_what_is_no_collection(tmp_path: Path) -> None:
    with pytest.raises(RetrievalError, match=r"corpus\.jsonl"):
        read(tmp_path)
