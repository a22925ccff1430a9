"""How good a ranking is on a collection of documents, questions and judgements in BEIR's layout."""

import csv
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from understudy_retrieval.errors import RetrievalError

Judgements = Mapping[str, Mapping[str, float]]
"""How relevant documents are, by query and document; what is not listed is not."""


@dataclass(frozen=True, slots=True)
class Collection:
    """`corpus.jsonl` and `queries.jsonl` by `_id`, `qrels.tsv` (or `qrels/test.tsv`)."""

    documents: dict[str, str]
    queries: dict[str, str]
    judgements: dict[str, dict[str, float]]


def read(folder: Path) -> Collection:
    """A collection in BEIR's layout; queries without judgements are left out. Raises RetrievalError."""
    try:
        documents = {
            str(one["_id"]): "\n".join(filter(None, (one.get("title"), one["text"])))
            for one in _lines(folder / "corpus.jsonl")
        }
        texts = {str(one["_id"]): str(one["text"]) for one in _lines(folder / "queries.jsonl")}
        path = folder / "qrels.tsv"
        judgements = _judgements(path if path.exists() else folder / "qrels" / "test.tsv")
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise RetrievalError(
            f"{folder} is no collection in BEIR's layout (corpus.jsonl, queries.jsonl, qrels.tsv): {error!r}"
        ) from error
    queries = {query: texts[query] for query in judgements if query in texts}
    if not documents or not queries:
        raise RetrievalError(f"{folder} has no documents, or no query with judgements")
    return Collection(documents, queries, judgements)


def ndcg(ranked: Sequence[str], relevant: Mapping[str, float], at: int = 10) -> float:
    """Normalised discounted cumulative gain of the first `at`, in [0, 1]."""
    gain = sum(relevant.get(name, 0) / math.log2(place + 2) for place, name in enumerate(ranked[:at]))
    best = sorted(relevant.values(), reverse=True)[:at]
    ideal = sum(value / math.log2(place + 2) for place, value in enumerate(best))
    return gain / ideal if ideal else 0.0


def recall(ranked: Sequence[str], relevant: Mapping[str, float], at: int = 5) -> float:
    """How many of the relevant ones are among the first `at`, in [0, 1]."""
    wanted = {name for name, value in relevant.items() if value > 0}
    return len(wanted & set(ranked[:at])) / len(wanted) if wanted else 0.0


def _lines(path: Path) -> Iterator[dict[str, str]]:
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            if line.strip():
                yield json.loads(line)


def _judgements(path: Path) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    with path.open(encoding="utf-8", newline="") as lines:
        for row in csv.reader(lines, delimiter="\t"):
            # With or without a heading; TREC's own form has a column more.
            if len(row) >= 3 and row[-1].strip().lstrip("-").replace(".", "", 1).isdigit():
                value = float(row[-1])
                if value > 0:
                    found.setdefault(row[0], {})[row[-2]] = value
    return found
