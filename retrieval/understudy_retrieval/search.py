"""Ranking: nearness of meaning and words in common, each in [0, 1], added with the weights of a `Ranking`.

A chunk is as near as the nearest of its windows. Small stores are ranked exactly; in large ones the vector index and
the keywords each propose chunks, and both halves of a proposed chunk's score are then looked up.
"""

import logging
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from understudy_retrieval.chunk_rows import MemberRow, find_vectors, find_window_vectors
from understudy_retrieval.keyword_search import keyword_scores
from understudy_retrieval.records import Ranking
from understudy_retrieval.store_view import EXACT_WINDOWS, StoreView
from understudy_retrieval.vector_index import Index

log = logging.getLogger("understudy_retrieval")
_PROPOSED_WINDOWS = 200
_MOST_WINDOWS = 1000
_PROPOSED_BY_WORDS = 50

Scores = NDArray[np.float64]
Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Query:
    """What is searched for; `vector` is None where no model embeds it."""

    text: str
    vector: NDArray[np.float32] | None


def rank(
    connection: sqlite3.Connection,
    index: Index,
    view: StoreView,
    query: Query,
    allowed: NDArray[np.bool_] | None,
    ranking: Ranking,
) -> tuple[Places, Scores]:
    """Places in the view and scores, best first. `allowed` has an entry for each of the view's members."""
    weight = _embedding_weight(ranking)
    semantic = query.vector is not None and bool(view.store.fingerprint)
    by_words, word_scores = np.empty(0, np.int64), np.empty(0)
    if weight < 1 or not semantic:
        by_words, word_scores = keyword_scores(connection, view, query.text)
    if allowed is not None:
        keep = allowed[view.member_of[by_words]]
        by_words, word_scores = by_words[keep], word_scores[keep]
    if query.vector is None or not semantic:
        return _ordered(by_words, word_scores)
    if view.vectors is not None:
        places, nearness = _all_places(view, allowed), view.vectors @ query.vector
        meaning = _chunk_scores(view, nearness)[places]
    else:
        proposed = by_words[np.argsort(-word_scores, kind="stable")[:_PROPOSED_BY_WORDS]]
        places, meaning = _large(connection, index, view, query.vector, allowed, proposed)
    scores = weight * meaning.clip(0, 1)
    slots = np.searchsorted(places, by_words).clip(0, max(0, len(places) - 1))
    known = places[slots] == by_words if len(places) else np.zeros(len(by_words), np.bool_)
    scores[slots[known]] += (1 - weight) * word_scores[known]
    return _ordered(places, scores)


def _embedding_weight(ranking: Ranking) -> float:
    total = ranking.embedding_weight + ranking.text_weight
    return ranking.embedding_weight / total if total > 0 else 1.0


def _ordered(places: Places, scores: Scores) -> tuple[Places, Scores]:
    order = np.argsort(-scores, kind="stable")
    return places[order], scores[order]


def _all_places(view: StoreView, allowed: NDArray[np.bool_] | None) -> Places:
    return np.arange(len(view.chunk_ids)) if allowed is None else np.flatnonzero(allowed[view.member_of])


def _chunk_scores(view: StoreView, nearness: NDArray[np.float32]) -> Scores:
    """From the windows' nearness to the chunks': the maximum of each chunk's."""
    if not len(view.chunk_ids):
        return np.empty(0)
    padded = np.append(nearness, np.float32(-1))  # reduceat wants every end to be an element
    bounds = np.stack([view.first_window, view.end_window], axis=1).ravel()
    return np.maximum.reduceat(padded, bounds)[::2].astype(np.float64)


def _large(
    connection: sqlite3.Connection,
    index: Index,
    view: StoreView,
    vector: NDArray[np.float32],
    allowed: NDArray[np.bool_] | None,
    by_words: Places,
) -> tuple[Places, Scores]:
    """Places in ascending order and their nearness: of what the vectors propose, and of what the words do."""
    members = range(len(view.members)) if allowed is None else np.flatnonzero(allowed).tolist()
    exact = [number for number in members if not view.members[number].indexed]
    indexed = [number for number in members if view.members[number].indexed]
    if sum(int(view.window_base[n + 1] - view.window_base[n]) for n in indexed) <= EXACT_WINDOWS:
        exact, indexed = list(members), []
    nearness = np.full(view.windows, -1, np.float32)
    if indexed:
        try:
            _ask_index(index, view, vector, None if allowed is None else set(indexed), nearness)
        except Exception:
            # It is rebuilt at the next start; until then the search is slow and right.
            log.exception("the vector index of %s does not answer", view.store.id)
            exact = list(members)
    for number in exact:
        start, end = view.window_base[number], view.window_base[number + 1]
        vectors = find_vectors(connection, view.members[number].document)
        nearness[start:end] = vectors @ vector if len(vectors) else 0
    chunks = _chunk_scores(view, nearness)
    near = np.argsort(-chunks, kind="stable")[: 2 * _PROPOSED_WINDOWS]
    for place in by_words[chunks[by_words] < 0]:
        chunks[place] = _look_up(connection, view, int(place), vector)
    places = np.union1d(near[chunks[near] > -1], by_words)
    if allowed is not None:
        places = places[allowed[view.member_of[places]]]
    return places, chunks[places]


def _ask_index(
    index: Index,
    view: StoreView,
    vector: NDArray[np.float32],
    wanted: set[int] | None,
    nearness: NDArray[np.float32],
) -> None:
    """Fill in the nearness of the windows that the index finds."""
    numbers = {member.id: number for number, member in enumerate(view.members)}
    for member_id, window, cosine in index.query(
        view.store, vector, _PROPOSED_WINDOWS if wanted is None else _MOST_WINDOWS
    ):
        number = numbers.get(member_id)
        # What the index still holds of members that are gone, or may not be shown, is passed over.
        if number is not None and (wanted is None or number in wanted):
            nearness[view.window_base[number] + window] = cosine


def _look_up(connection: sqlite3.Connection, view: StoreView, place: int, vector: NDArray[np.float32]) -> float:
    number = view.member_of[place]
    first, end = view.first_window[place], view.end_window[place]
    base = view.window_base[number]
    vectors = find_window_vectors(connection, view.members[number].document, int(first - base), int(end - base))
    return float((vectors @ vector).max()) if len(vectors) else 0.0


@dataclass(frozen=True, slots=True)
class Candidate:
    """A chunk that was found, by its place in a view."""

    view: StoreView
    place: int
    score: float

    @property
    def member(self) -> MemberRow:
        """The file in the store that it is of."""
        return self.view.member(self.place)

    @property
    def chunk_id(self) -> int:
        """Its row in the full-text table."""
        return int(self.view.chunk_ids[self.place])

    @property
    def number(self) -> int:
        """Its number within the file."""
        return self.chunk_id - self.member.first_chunk

    @property
    def span(self) -> tuple[int, int]:
        """Its tokens within the document."""
        return self.member.chunking.span(self.number, self.member.tokens)


def chosen(candidates: Iterable[Candidate], *, distinct: bool) -> Iterator[Candidate]:
    """Each chunk once; with `distinct` none that shares text with a better one.

    Neighbours do where chunks overlap, and the chunks of a document that several stores hold.
    """
    seen: set[tuple[int, int]] = set()
    taken: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    for candidate in candidates:
        key = (candidate.member.id, candidate.number)
        if key in seen:
            continue
        seen.add(key)
        if distinct:
            start, end = candidate.span
            spans = taken[candidate.member.document]
            if any(start < other_end and other_start < end for other_start, other_end in spans):
                continue
            spans.append((start, end))
        yield candidate
