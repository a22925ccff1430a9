"""What the rows of the chunk store mean, and how a transaction reads them."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from understudy_retrieval.chunking import Chunking


@dataclass(frozen=True, slots=True)
class Store:
    """A vector store: `number` names its range of chunks, `changes` counts what happened to its members."""

    number: int
    id: str
    fingerprint: str
    changes: int


@dataclass(frozen=True, slots=True)
class Document:
    """A file's text in tokens."""

    id: int
    tokens: int


@dataclass(frozen=True, slots=True)
class MemberRow:
    """A document in a store."""

    id: int
    document: int
    tokens: int
    first_chunk: int
    chunks: int
    chunking: Chunking
    usage_bytes: int
    indexed: bool


@dataclass(frozen=True, slots=True)
class Garbage:
    """What nobody can find any more: chunks, and `windows` vectors of an index; `member` None is a whole store."""

    id: int
    store: int
    store_id: str
    member: int | None
    windows: int
    first_chunk: int
    end_chunk: int


MEMBER = (
    "m.id, m.document, d.tokens, m.first_chunk, m.chunks, m.size, m.overlap, m.usage_bytes, m.indexed "
    "FROM members m JOIN documents d ON d.id = m.document"
)


def member_row(row: Sequence[Any]) -> MemberRow:
    """From the columns of MEMBER."""
    member_id, document, tokens, first, chunks, size, overlap, usage, indexed = row
    return MemberRow(member_id, document, tokens, first, chunks, Chunking(size, overlap), usage, bool(indexed))


def find_store(connection: sqlite3.Connection, store_id: str) -> Store | None:
    """The store of that id."""
    query = "SELECT number, id, fingerprint, changes FROM stores WHERE id = ?"
    row = connection.execute(query, (store_id,)).fetchone()
    return Store(*row) if row else None


def find_members(connection: sqlite3.Connection, store: int) -> list[MemberRow]:
    """The store's members in the order of their chunks."""
    query = f"SELECT {MEMBER} WHERE m.store = ? ORDER BY m.first_chunk"
    return [member_row(row) for row in connection.execute(query, (store,))]


def find_vectors(connection: sqlite3.Connection, document: int) -> NDArray[np.float32]:
    """The vectors of a document's windows, shape (windows, dimensions); (0, 0) where it has none."""
    query = "SELECT windows, vectors FROM vectors WHERE document = ? ORDER BY first_window"
    parts = [
        np.frombuffer(blob, np.float16).reshape(windows, -1) for windows, blob in connection.execute(query, (document,))
    ]
    return np.concatenate(parts).astype(np.float32) if parts else np.empty((0, 0), np.float32)


def find_window_vectors(connection: sqlite3.Connection, document: int, first: int, end: int) -> NDArray[np.float32]:
    """The vectors of some of a document's windows, without reading the others."""
    query = (
        "SELECT first_window, windows, vectors FROM vectors "
        "WHERE document = ? AND first_window < ? AND first_window + windows > ? ORDER BY first_window"
    )
    parts = []
    for start, windows, blob in connection.execute(query, (document, end, first)):
        rows = np.frombuffer(blob, np.float16).reshape(windows, -1)
        parts.append(rows[max(0, first - start) : end - start])
    return np.concatenate(parts).astype(np.float32) if parts else np.empty((0, 0), np.float32)


def find_chunk_count(connection: sqlite3.Connection) -> int:
    """Rows of the full-text table, of all stores, those that wait to be purged among them."""
    # The table that holds a row's length for each: to count the virtual table itself reads all texts.
    return int(connection.execute("SELECT count(*) FROM chunks_docsize").fetchone()[0])
