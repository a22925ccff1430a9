"""The truth: texts, vectors and chunks in one SQLite file. Every index beside it can be made again from here.

A document is a file's text and the vectors of its windows, which the stores that hold the file share. A member is a
document in a store: its chunks are rows of the full-text table, numbered without gaps from `first_chunk` within the
store's own range of row numbers, so a store or a member is found there by a range and needs no column.
"""

import sqlite3
import threading
import zlib
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import LifoQueue

import numpy as np
from numpy.typing import NDArray

from understudy_retrieval.chunk_rows import (
    MEMBER,
    Document,
    Garbage,
    MemberRow,
    Store,
    find_chunk_count,
    find_members,
    find_store,
    member_row,
)
from understudy_retrieval.chunk_schema import SCHEMA, VERSION
from understudy_retrieval.chunking import Chunking, window_count
from understudy_retrieval.errors import RetrievalError, StoreRemovedError

_RANGE_BITS = 32
_WITH_VECTORS = (
    "UPDATE members SET usage_bytes = usage_bytes + (SELECT coalesce(sum(length(vectors)), 0) FROM vectors "
    "WHERE vectors.document = members.document) WHERE store = ?"
)
_WITHOUT_VECTORS = _WITH_VECTORS.replace("+", "-", 1)


class ChunkStore:
    """All methods block; readers see the last commit and never wait for the writer."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._write_lock = threading.Lock()
        self._readers: LifoQueue[sqlite3.Connection] = LifoQueue()
        self._writer = self._connect()
        self._create()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, timeout=30)
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "temp_store=MEMORY"):
            connection.execute(f"PRAGMA {pragma}")
        return connection

    def _create(self) -> None:
        (version,) = self._writer.execute("PRAGMA user_version").fetchone()
        if version > VERSION:
            raise RetrievalError(f"{self._path} was written by a newer version")
        if version == 0:
            self._writer.execute("PRAGMA auto_vacuum = INCREMENTAL")
            self._writer.execute("VACUUM")  # which makes the pragma true
            self._writer.executescript(f"BEGIN; {SCHEMA} PRAGMA user_version = {VERSION}; COMMIT;")

    def close(self) -> None:
        """Give back all connections."""
        self._writer.close()
        while not self._readers.empty():
            self._readers.get().close()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection whose statements all see the same commit."""
        connection = self._connect() if self._readers.empty() else self._readers.get()
        try:
            connection.execute("BEGIN")
            yield connection
        finally:
            connection.execute("COMMIT")
            self._readers.put(connection)

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._write_lock:
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
            except BaseException:
                self._writer.execute("ROLLBACK")
                raise
            self._writer.execute("COMMIT")

    # Stores and members

    def store(self, store_id: str) -> Store | None:
        """The store of that id, None where nothing was ever put into it."""
        with self.reading() as connection:
            return find_store(connection, store_id)

    def stores(self) -> list[Store]:
        """All stores."""
        with self.reading() as connection:
            return [Store(*row) for row in connection.execute("SELECT number, id, fingerprint, changes FROM stores")]

    def open_store(self, store_id: str, fingerprint: str) -> Store:
        """The store of that id; a new one is embedded as `fingerprint` says."""
        if store := self.store(store_id):
            return store
        with self._writing() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO stores (id, fingerprint, next_chunk) VALUES (?, ?, 0)", (store_id, fingerprint)
            )
            connection.execute("UPDATE stores SET next_chunk = number << ? WHERE next_chunk = 0", (_RANGE_BITS,))
            store = find_store(connection, store_id)
        assert store is not None
        return store

    def members(self, store: Store) -> list[MemberRow]:
        """The store's members in the order of their chunks."""
        with self.reading() as connection:
            return find_members(connection, store.number)

    def adopt(self, store: Store, fingerprint: str) -> None:
        """Let a store without vectors have those of a model from now on."""
        with self._writing() as connection:
            connection.execute(
                "UPDATE stores SET fingerprint = ?, changes = changes + 1 WHERE number = ?", (fingerprint, store.number)
            )
            connection.execute("UPDATE OR IGNORE documents SET fingerprint = ? WHERE fingerprint = ''", (fingerprint,))

    def members_without_vectors(self, store: Store) -> list[int]:
        """Ids of the members whose documents were not embedded."""
        query = (
            "SELECT id FROM members WHERE store = ? AND NOT EXISTS "
            "(SELECT 1 FROM vectors WHERE vectors.document = members.document)"
        )
        with self.reading() as connection:
            return [member_id for (member_id,) in connection.execute(query, (store.number,))]

    def member(self, member_id: int) -> tuple[str, MemberRow] | None:
        """A member and its store's id."""
        query = f"SELECT s.id, {MEMBER} JOIN stores s ON s.number = m.store WHERE m.id = ?"
        with self.reading() as connection:
            row = connection.execute(query, (member_id,)).fetchone()
        return (row[0], member_row(row[1:])) if row else None

    def member_stores(self) -> dict[int, str]:
        """All members with their store's id."""
        query = "SELECT m.id, s.id FROM members m JOIN stores s ON s.number = m.store"
        with self.reading() as connection:
            return dict(connection.execute(query).fetchall())

    def add_member(
        self, member_id: int, store: Store, document: Document, chunking: Chunking, texts: Iterable[str], vectors: int
    ) -> MemberRow:
        """Make a document's chunks findable in a store, all or none; `vectors` is the size of its vectors in bytes."""
        chunks = chunking.count(document.tokens)
        usage = vectors
        with self._writing() as connection:
            row = connection.execute("SELECT next_chunk FROM stores WHERE number = ?", (store.number,)).fetchone()
            if row is None:
                raise StoreRemovedError(f"{store.id} was removed")
            (first,) = row
            for number, text in enumerate(texts, first):
                usage += len(text.encode())
                connection.execute("INSERT INTO chunks (rowid, text) VALUES (?, ?)", (number, text))
            values = (member_id, store.number, document.id, first, chunks, chunking.size, chunking.overlap, usage)
            connection.execute(
                "INSERT INTO members (id, store, document, first_chunk, chunks, size, overlap, usage_bytes) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                values,
            )
            connection.execute(
                "UPDATE stores SET next_chunk = ?, changes = changes + 1 WHERE number = ?",
                (first + chunks, store.number),
            )
        return MemberRow(member_id, document.id, document.tokens, first, chunks, chunking, usage, indexed=False)

    def remove_member(self, member_id: int) -> None:
        """Make a member's chunks unfindable; the rows go with `purge`."""
        with self._writing() as connection:
            query = f"SELECT s.id, {MEMBER} JOIN stores s ON s.number = m.store WHERE m.id = ?"
            row = connection.execute(query, (member_id,)).fetchone()
            if row is None:
                return
            store = find_store(connection, row[0])
            assert store is not None
            self._remove(connection, store, member_row(row[1:]))

    def _remove(self, connection: sqlite3.Connection, store: Store, member: MemberRow) -> None:
        _throw_away(connection, store, member)
        connection.execute("DELETE FROM members WHERE id = ?", (member.id,))
        connection.execute("UPDATE stores SET changes = changes + 1 WHERE number = ?", (store.number,))

    def remove_store(self, store_id: str, members: Collection[int] | None = None) -> None:
        """Make a store's chunks unfindable; the rows go with `purge`.

        Where it has other members than `members`, a new store has been given the old one's id: those stay.
        """
        with self._writing() as connection:
            store = find_store(connection, store_id)
            if store is None:
                return
            present = find_members(connection, store.number)
            gone = present if members is None else [member for member in present if member.id in members]
            if len(gone) < len(present):
                for member in gone:
                    self._remove(connection, store, member)
                return
            (end,) = connection.execute("SELECT next_chunk FROM stores WHERE number = ?", (store.number,)).fetchone()
            connection.execute(
                "INSERT INTO garbage (store, store_id, windows, first_chunk, end_chunk) VALUES (?, ?, 0, ?, ?)",
                (store.number, store.id, store.number << _RANGE_BITS, end),
            )
            connection.execute("DELETE FROM garbage WHERE store = ? AND member IS NOT NULL", (store.number,))
            connection.execute("DELETE FROM members WHERE store = ?", (store.number,))
            connection.execute("DELETE FROM stores WHERE number = ?", (store.number,))

    def garbage(self) -> list[Garbage]:
        """What waits to be purged."""
        with self.reading() as connection:
            query = "SELECT id, store, store_id, member, windows, first_chunk, end_chunk FROM garbage ORDER BY id"
            return [Garbage(*row) for row in connection.execute(query)]

    def purge(self, garbage: Garbage, first: int, end: int) -> None:
        """Delete its chunks from `first` up to `end`; those before are deleted."""
        with self._writing() as connection:
            connection.execute("DELETE FROM chunks WHERE rowid >= ? AND rowid < ?", (first, end))
            connection.execute("UPDATE garbage SET first_chunk = ? WHERE id = ?", (end, garbage.id))

    def forget_garbage(self, garbage: Garbage) -> None:
        """It has been purged."""
        with self._writing() as connection:
            connection.execute("DELETE FROM garbage WHERE id = ?", (garbage.id,))

    def merge(self) -> None:
        """Rid the full-text index of what was deleted, step by step; all of it is written anew."""
        merging = True
        while merging:
            with self._writing() as connection:
                before = connection.total_changes
                connection.execute("INSERT INTO chunks (chunks, rank) VALUES ('merge', -200)")
                merging = connection.total_changes - before > 1  # as SQLite's documentation has it

    def vacuum(self) -> None:
        """Give unused room back to the disk, step by step."""
        unused = True
        while unused:
            with self._write_lock:
                self._writer.execute("PRAGMA incremental_vacuum(500)").fetchall()
                unused = self._writer.execute("PRAGMA freelist_count").fetchone()[0] > 0
        with self._write_lock:
            self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def chunk_count(self) -> int:
        """Chunks of all stores."""
        with self.reading() as connection:
            return find_chunk_count(connection)

    def wasteful(self) -> bool:
        """Whether more than 4 MB of the file are unused."""
        with self.reading() as connection:
            return bool(connection.execute("PRAGMA freelist_count").fetchone()[0] > 1000)

    def mark_indexed(self, store: Store, members: Iterable[int], *, indexed: bool) -> None:
        """Note whether the vector index holds the vectors of these members of the store."""
        with self._writing() as connection:
            connection.executemany(
                "UPDATE members SET indexed = ? WHERE id = ?", [(indexed, member_id) for member_id in members]
            )
            connection.execute("UPDATE stores SET changes = changes + 1 WHERE number = ?", (store.number,))

    def refer_to(self, store: Store, fingerprint: str) -> None:
        """Let a store's members refer to the documents that another model has embedded; all of them must be there."""
        with self._writing() as connection:
            connection.execute(_WITHOUT_VECTORS, (store.number,))
            connection.execute(
                "UPDATE members SET indexed = 0, document = (SELECT new.id FROM documents old JOIN documents new "
                "ON new.file_id = old.file_id AND new.fingerprint = ? WHERE old.id = members.document) WHERE store = ?",
                (fingerprint, store.number),
            )
            connection.execute(_WITH_VECTORS, (store.number,))
            connection.execute(
                "UPDATE stores SET fingerprint = ?, changes = changes + 1 WHERE number = ?", (fingerprint, store.number)
            )

    def usage(self) -> dict[int, int]:
        """Bytes of all members."""
        with self.reading() as connection:
            return dict(connection.execute("SELECT id, usage_bytes FROM members").fetchall())

    # Documents

    def document(self, file_id: str, fingerprint: str) -> Document | None:
        """A file's document as that model embedded it, complete or not."""
        query = "SELECT id, tokens FROM documents WHERE file_id = ? AND fingerprint = ?"
        with self.reading() as connection:
            row = connection.execute(query, (file_id, fingerprint)).fetchone()
        return Document(*row) if row else None

    def add_document(self, file_id: str, fingerprint: str, tokens: int, text: str) -> Document:
        """Keep a file's text."""
        packed = zlib.compress(text.encode(), 1)
        with self._writing() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO documents (file_id, fingerprint, tokens, text) VALUES (?, ?, ?, ?)",
                (file_id, fingerprint, tokens, packed),
            )
        document = self.document(file_id, fingerprint)
        assert document is not None
        return document

    def text(self, document: int) -> str:
        """A document's text."""
        with self.reading() as connection:
            (packed,) = connection.execute("SELECT text FROM documents WHERE id = ?", (document,)).fetchone()
        return zlib.decompress(packed).decode()

    def text_of_file(self, file_id: str) -> tuple[int, str] | None:
        """Tokens and text of a file, whichever model has embedded it."""
        with self.reading() as connection:
            row = connection.execute(
                "SELECT tokens, text FROM documents WHERE file_id = ? LIMIT 1", (file_id,)
            ).fetchone()
        return (row[0], zlib.decompress(row[1]).decode()) if row else None

    def embedded_windows(self, document: int) -> int:
        """How many of a document's windows have their vectors; they come in order."""
        query = "SELECT coalesce(sum(windows), 0) FROM vectors WHERE document = ?"
        with self.reading() as connection:
            return int(connection.execute(query, (document,)).fetchone()[0])

    def add_vectors(self, document: int, first_window: int, vectors: NDArray[np.float32]) -> None:
        """Keep vectors of a document's windows, from `first_window` on."""
        row = (document, first_window, len(vectors), vectors.astype(np.float16).tobytes())
        with self._writing() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO vectors (document, first_window, windows, vectors) VALUES (?, ?, ?, ?)", row
            )

    def vectors_bytes(self, document: int) -> int:
        """The size of a document's vectors."""
        query = "SELECT coalesce(sum(length(vectors)), 0) FROM vectors WHERE document = ?"
        with self.reading() as connection:
            return int(connection.execute(query, (document,)).fetchone()[0])

    def forget_file(self, file_id: str) -> None:
        """Drop a deleted file's documents, but for those that a member still has."""
        with self._writing() as connection:
            connection.execute(
                "DELETE FROM documents WHERE file_id = ? AND NOT EXISTS "
                "(SELECT 1 FROM members WHERE members.document = documents.id)",
                (file_id,),
            )

    def forget_unused_documents(self) -> None:
        """Drop the documents that no store refers to any more."""
        with self._writing() as connection:
            connection.execute("DELETE FROM documents WHERE id NOT IN (SELECT document FROM members)")

    def file_id(self, document: int) -> str:
        """The file that a document is the text of."""
        with self.reading() as connection:
            (file_id,) = connection.execute("SELECT file_id FROM documents WHERE id = ?", (document,)).fetchone()
        return str(file_id)

    def file_ids(self) -> set[str]:
        """The files that have documents."""
        with self.reading() as connection:
            return {file_id for (file_id,) in connection.execute("SELECT DISTINCT file_id FROM documents")}


def _throw_away(connection: sqlite3.Connection, store: Store, member: MemberRow) -> None:
    windows = window_count(member.tokens) if member.indexed else 0
    connection.execute(
        "INSERT INTO garbage (store, store_id, member, windows, first_chunk, end_chunk) VALUES (?, ?, ?, ?, ?, ?)",
        (store.number, store.id, member.id, windows, member.first_chunk, member.first_chunk + member.chunks),
    )
