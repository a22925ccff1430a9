"""BM25 over the full-text table, term by term.

SQLite's own score is Σ idf · tf-part with an idf over all stores, clamped for common terms. Asking for one term at a
time gives the tf-part alone; the idf is then counted within the store, so that a score does not depend on other stores
and means something in a store of three chunks.
"""

import math
import re
import sqlite3
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from understudy_retrieval.chunk_rows import find_chunk_count
from understudy_retrieval.chunk_schema import TOKENIZER
from understudy_retrieval.store_view import StoreView

_WORD = re.compile(r"\w+")
_SATURATION = 2.2  # what FTS5's tf-part cannot reach: k1 + 1
_MOST_TERMS = 8
_MOST_OCCURRENCES = 15_000
_MOST_WORDS = 64
# Words that stand in questions rather than in answers.
_STOPWORDS = frozenset(
    """a about above after again against all am an and any are as at be because been before being below between both but
    by can could did do does doing down during each few for from further had has have having he her here hers him his
    how i if in into is it its itself just me more most my no nor not of off on once only or other our ours out over own
    please same she should so some such than that the their theirs them then there these they this those through to too
    under until up us very was we were what when where which while who whom why will with would you your yours
    """.split()  # noqa: SIM905
)


def keyword_scores(
    connection: sqlite3.Connection, view: StoreView, query: str
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Places of the chunks that share words with the query, and their scores in [0, 1]."""
    total = len(view.chunk_ids)
    scores = np.zeros(total)
    bound = 0.0
    rows = find_chunk_count(connection)  # all of them, as SQLite's idf counts
    for word, holding in _rarest(connection, words(query)) if total else ():
        places, parts = _occurrences(connection, view, word, holding, rows)
        idf = math.log(1 + (total - len(places) + 0.5) / (len(places) + 0.5))
        scores[places] += idf * parts
        bound += idf * _SATURATION
    found = np.flatnonzero(scores)
    return found, (scores[found] / bound).clip(0, 1) if bound else scores[found]


def words(query: str) -> list[str]:
    """The query's words, each once; stop words only where there is nothing else."""
    found = list(dict.fromkeys(_WORD.findall(query.lower().replace("_", " "))))
    return [word for word in found if word not in _STOPWORDS] or found


def _occurrences(
    connection: sqlite3.Connection, view: StoreView, word: str, holding: int, rows: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Places of the store's chunks that hold a word, and the tf-part of each; `holding` of all `rows` have the word."""
    found = connection.execute(
        "SELECT rowid, bm25(chunks) FROM chunks WHERE chunks MATCH ? AND rowid BETWEEN ? AND ?",
        (f'"{word}"', int(view.chunk_ids[0]), int(view.chunk_ids[-1])),
    ).fetchall()
    table = np.array(found, np.float64).reshape(-1, 2)
    places, known = view.find(table[:, 0].astype(np.int64))
    idf = max(math.log((rows - holding + 0.5) / (holding + 0.5)), 1e-6)  # as SQLite's source has it
    return places[known], -table[known, 1] / idf


def _rarest(connection: sqlite3.Connection, query: Sequence[str]) -> list[tuple[str, int]]:
    """The words that tell most, each with the number of the rows that hold it."""
    counted = sorted((holding, word) for word, holding in _holding(connection, query))
    chosen: list[tuple[str, int]] = []
    for holding, word in counted[:_MOST_TERMS]:
        if chosen and sum(count for _, count in chosen) + holding > _MOST_OCCURRENCES:
            break
        chosen.append((word, holding))
    return chosen


def _holding(connection: sqlite3.Connection, query: Sequence[str]) -> Iterator[tuple[str, int]]:
    """The words with different stems, and how many rows hold each. SQLite's own tokeniser finds the stems."""
    connection.execute(f"CREATE VIRTUAL TABLE IF NOT EXISTS temp.query USING fts5 (text, tokenize = '{TOKENIZER}')")
    connection.execute("CREATE VIRTUAL TABLE IF NOT EXISTS temp.stems USING fts5vocab (temp, query, instance)")
    connection.executemany("INSERT INTO temp.query (rowid, text) VALUES (?, ?)", enumerate(query[:_MOST_WORDS], 1))
    stems = connection.execute("SELECT term, min(doc) FROM temp.stems GROUP BY term").fetchall()
    connection.execute("DELETE FROM temp.query")
    for stem, number in stems:
        row = connection.execute("SELECT doc FROM terms WHERE term = ?", (stem,)).fetchone()
        yield query[number - 1], row[0] if row else 0
