"""A vector store's layout in memory: its chunks, the windows that each looks at, and if it is small the vectors.

Views are made from the chunk store when a store has changed, and the least used ones are dropped.
"""

import sqlite3
import threading
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from understudy_retrieval.chunk_rows import MemberRow, Store, find_members, find_vectors
from understudy_retrieval.chunking import window_count

EXACT_WINDOWS = 8192
"""Up to so many windows a look at every vector is quicker than an index is worth: 3 ms."""
_CACHE_BYTES = 96 * 1024**2


@dataclass(frozen=True, slots=True)
class StoreView:
    """All arrays but `vectors` have one entry a chunk; windows are counted through the whole store."""

    store: Store
    members: list[MemberRow]
    chunk_ids: NDArray[np.int64]
    """Row numbers of the full-text table, ascending."""
    member_of: NDArray[np.int32]
    """Place in `members`."""
    first_window: NDArray[np.int64]
    end_window: NDArray[np.int64]
    window_base: NDArray[np.int64]
    """The number of each member's first window; one more entry than members."""
    vectors: NDArray[np.float32] | None
    """Shape (windows, dimensions); None where the store is too large, or has none."""

    @property
    def windows(self) -> int:
        """How many there are."""
        return int(self.window_base[-1])

    def find(self, chunk_ids: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Places of these rows, and which of them are chunks of the store."""
        if not len(self.chunk_ids):
            return np.zeros(len(chunk_ids), np.int64), np.zeros(len(chunk_ids), np.bool_)
        places = np.searchsorted(self.chunk_ids, chunk_ids).clip(0, len(self.chunk_ids) - 1)
        return places, self.chunk_ids[places] == chunk_ids

    def member(self, place: int) -> MemberRow:
        """The chunk's member."""
        return self.members[int(self.member_of[place])]

    @property
    def size(self) -> int:
        """Bytes."""
        arrays = (self.chunk_ids, self.member_of, self.first_window, self.end_window, self.window_base)
        vectors = 0 if self.vectors is None else self.vectors.nbytes
        return int(sum(array.nbytes for array in arrays) + vectors) + 300 * len(self.members) + 1000


class ViewCache:
    """Views by store."""

    def __init__(self) -> None:
        self._views: OrderedDict[int, StoreView] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def view(self, connection: sqlite3.Connection, store: Store) -> StoreView:
        """The view of the store as this connection's transaction sees it."""
        with self._lock:
            view = self._views.get(store.number)
            if view is not None and view.store == store:
                self._views.move_to_end(store.number)
                return view
        view = load(connection, store)
        with self._lock:
            self._drop(store.number)
            self._views[store.number] = view
            self._bytes += view.size
            while self._bytes > _CACHE_BYTES and len(self._views) > 1:
                self._drop(next(iter(self._views)))
        return view

    def forget(self, store: Store) -> None:
        """The store is gone."""
        with self._lock:
            self._drop(store.number)

    def _drop(self, number: int) -> None:
        if view := self._views.pop(number, None):
            self._bytes -= view.size


def load(connection: sqlite3.Connection, store: Store) -> StoreView:
    """Make a view."""
    members = find_members(connection, store.number)
    bases = np.cumsum([0, *(window_count(member.tokens) for member in members)])
    first, end = [], []
    for member, base in zip(members, bases, strict=False):
        member_first, member_end = member.chunking.windows(member.tokens)
        first.append(member_first + base)
        end.append(member_end + base)
    empty = [np.empty(0, np.int64)]
    ids = [np.arange(member.first_chunk, member.first_chunk + member.chunks) for member in members]
    vectors = None
    if store.fingerprint and members and bases[-1] <= EXACT_WINDOWS:
        vectors = _together([find_vectors(connection, member.document) for member in members], members)
    return StoreView(
        store,
        members,
        np.concatenate(ids or empty),
        np.repeat(np.arange(len(members), dtype=np.int32), [member.chunks for member in members]),
        np.concatenate(first or empty),
        np.concatenate(end or empty),
        bases,
        vectors,
    )


def _together(parts: list[NDArray[np.float32]], members: list[MemberRow]) -> NDArray[np.float32] | None:
    """All vectors; zeros for members that came while there was no embedder."""
    width = max(part.shape[1] for part in parts)
    if width == 0:
        return None
    return np.concatenate(
        [
            part if len(part) else np.zeros((window_count(member.tokens), width), np.float32)
            for part, member in zip(parts, members, strict=True)
        ]
    )
