"""What goes in and comes out."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Member:
    """A file in a vector store. `id` is its owner's key of that membership and is never used again."""

    id: int
    store_id: str
    file_id: str
    filename: str
    max_chunk_size_tokens: int
    chunk_overlap_tokens: int


@dataclass(frozen=True, slots=True)
class Ingested:
    """What a file became: bytes stored for it, chunks, tokens of its text."""

    usage_bytes: int
    chunks: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Hit:
    """A chunk that was found: its number within the file, a score in [0, 1], its text."""

    member_id: int
    chunk: int
    score: float
    text: str
    tokens: int


@dataclass(frozen=True, slots=True)
class Ranking:
    """How much the two halves of a score count: nearness of meaning, and words in common."""

    embedding_weight: float = 0.45
    text_weight: float = 0.55
