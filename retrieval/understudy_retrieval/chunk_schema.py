"""The tables of the chunk store."""

TOKENIZER = "porter unicode61 remove_diacritics 2"
"""How text and queries become words: without accents, cut down to English stems."""
VERSION = 1
SCHEMA = f"""
CREATE TABLE stores (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    fingerprint TEXT NOT NULL,
    next_chunk INTEGER NOT NULL,
    changes INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE documents (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    file_id TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    tokens INTEGER NOT NULL,
    text BLOB NOT NULL,
    UNIQUE (file_id, fingerprint)
);
CREATE TABLE vectors (
    id INTEGER PRIMARY KEY,
    document INTEGER NOT NULL REFERENCES documents ON DELETE CASCADE,
    first_window INTEGER NOT NULL,
    windows INTEGER NOT NULL,
    vectors BLOB NOT NULL,
    UNIQUE (document, first_window)
);
CREATE TABLE members (
    id INTEGER PRIMARY KEY,
    store INTEGER NOT NULL REFERENCES stores,
    document INTEGER NOT NULL REFERENCES documents,
    first_chunk INTEGER NOT NULL,
    chunks INTEGER NOT NULL,
    size INTEGER NOT NULL,
    overlap INTEGER NOT NULL,
    usage_bytes INTEGER NOT NULL,
    indexed INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX members_by_store ON members (store, first_chunk);
CREATE INDEX members_by_document ON members (document);
CREATE TABLE garbage (
    id INTEGER PRIMARY KEY,
    store INTEGER NOT NULL,
    store_id TEXT NOT NULL,
    member INTEGER,
    windows INTEGER NOT NULL,
    first_chunk INTEGER NOT NULL,
    end_chunk INTEGER NOT NULL
);
CREATE VIRTUAL TABLE chunks USING fts5 (text, tokenize = '{TOKENIZER}');
CREATE VIRTUAL TABLE terms USING fts5vocab (chunks, row);
"""
