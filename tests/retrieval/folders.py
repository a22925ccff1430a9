"""Folders of documents for the tests: opened as a server has them, filled with prose."""

import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

import anyio

from understudy_retrieval import Hit, Ingested, Member, Retrieval
from understudy_retrieval.embedding.base import Embedder

_member_ids = count(1)
WORDS = [
    f"{first}{second}" for first in ("ba", "ko", "li", "mu", "ne", "ro") for second in ("dra", "fen", "gis", "tol")
]


@asynccontextmanager
async def opened(root: Path, embedder: Embedder | None, chroma_url: str | None = None) -> AsyncIterator[Retrieval]:
    """As a server has it, with its background task."""
    retrieval = Retrieval(root, embedder, chroma_url=chroma_url)
    retrieval.open()
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(retrieval.maintain)
            yield retrieval
            group.cancel_scope.cancel()
    finally:
        await retrieval.aclose()


def member(file_id: str = "file-a", store: str = "vs_a", size: int = 100, overlap: int = 0) -> Member:
    return Member(next(_member_ids), store, file_id, "notes.txt", size, overlap)


async def ingest(retrieval: Retrieval, path: Path, text: str, one: Member) -> Ingested:
    file = path / f"{one.file_id}.txt"
    file.write_text(text)
    return await retrieval.ingest(one, file)


def prose(words: int, *planted: str, seed: int = 1) -> str:
    """So many words of nonsense, with the planted sentences among them."""
    generator = random.Random(seed)
    text = [generator.choice(WORDS) + ("." if number % 12 == 11 else "") for number in range(words)]
    for number, sentence in enumerate(planted):
        text.insert((number + 1) * words // (len(planted) + 1), sentence)
    return " ".join(text)


async def best(retrieval: Retrieval, query: str, store: str = "vs_a", **options: object) -> Hit:
    return (await retrieval.search([store], [query], limit=10, **options))[0]  # type: ignore[arg-type]


async def until(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(20):
        while not condition():  # noqa: ASYNC110 - a table has no event
            await anyio.sleep(0.02)
