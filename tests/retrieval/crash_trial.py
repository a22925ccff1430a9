"""Kill -9 at random moments of an ingestion that is searched meanwhile, again and again: nothing is lost or doubled.

The long form: python -m tests.retrieval.crash_trial --files 200 --kills 100
"""

import argparse
import random
import re
import sqlite3
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import openai
from openai import OpenAI

from tests.scripted_upstream import ScriptedUpstream
from tests.server_process import ServerProcess
from understudy_retrieval.chunking import Chunking
from understudy_retrieval.tokens import tokenize

CHUNKS = 100
"""Chunks of a file, about: sentences of some 40 tokens are cut into chunks of 100."""
_SENTENCES = 250
_CHUNKING = Chunking(100, 0)
_WORD = re.compile(r"(?<= )f\d+s\d+(?= )")
_WORDS_ALONE = {"hybrid_search": {"embedding_weight": 0, "text_weight": 1}}  # the vectors of the trial mean nothing
_FILLER = (
    " and the others of its kind are kept in the third room of the eastern wing, where nobody looks for them at all"
)


def document(number: int) -> str:
    """Each sentence has a word of its own."""
    return "\n".join(f"Item f{number}s{sentence}{_FILLER}, item {sentence}." for sentence in range(_SENTENCES))


def trial(folder: Path, upstream: ScriptedUpstream, files: int, kills: int, *, seed: int, longest: float) -> None:
    """Raises AssertionError for what was lost, doubled or answered wrongly."""
    chance = random.Random(seed)
    flags = ("--upstream", upstream.url, "--embedder", "upstream:scripted")
    server = ServerProcess(folder / "data", *flags)
    try:
        store, file_ids = _begin(server, files)
        for number in range(kills):
            with _searches(server, store, files):
                time.sleep(chance.uniform(0.05, longest))
                server.kill()
            server.start()
            if number % 10 == 9:
                print(f"{number + 1} kills, {_counts(server, store)}", flush=True)
        with _searches(server, store, files):
            _wait(server, store, files)
        _check(server, folder, store, file_ids)
        assert server.stop() == 0, server.log()
    finally:
        server.kill()


def _chunks(text: str) -> Iterator[str]:
    grid = tokenize(text)
    for number in range(_CHUNKING.count(grid.count)):
        start, end = _CHUNKING.span(number, grid.count)
        yield text[grid.cut(start) : grid.cut(end)]


def _client(server: ServerProcess) -> OpenAI:
    return OpenAI(base_url=server.url, api_key="sk-test", max_retries=0, timeout=60)


def _begin(server: ServerProcess, files: int) -> tuple[str, list[str]]:
    with _client(server) as client:
        ids = [
            client.files.create(file=(f"f{number}.txt", document(number).encode()), purpose="assistants").id
            for number in range(files)
        ]
        store = client.vector_stores.create(name="crash").id
        strategy = {"type": "static", "static": {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 0}}
        client.vector_stores.file_batches.create(store, file_ids=ids, chunking_strategy=strategy)  # type: ignore[arg-type]
    return store, ids


@contextmanager
def _searches(server: ServerProcess, store: str, files: int) -> Iterator[None]:
    """Search all the while; only a connection that breaks is no fault."""
    ended = threading.Event()
    faults: list[str] = []

    def search() -> None:
        chance = random.Random(0)
        with _client(server) as client:
            while not ended.is_set():
                wanted = f"f{chance.randrange(files)}s{chance.randrange(_SENTENCES)}"
                try:
                    found = client.vector_stores.search(store, query=wanted, max_num_results=1).data
                except openai.APIConnectionError:
                    time.sleep(0.02)
                except openai.APIError as error:
                    faults.append(str(error))
                else:
                    if found and not 0 <= found[0].score <= 1:
                        faults.append(f"score {found[0].score}")

    thread = threading.Thread(target=search)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
    assert not faults, faults[:3]


def _counts(server: ServerProcess, store: str) -> str:
    with _client(server) as client:
        return str(client.vector_stores.retrieve(store).file_counts)


def _wait(server: ServerProcess, store: str, files: int) -> None:
    deadline = time.monotonic() + 60 + 2 * files
    with _client(server) as client:
        while (counts := client.vector_stores.retrieve(store).file_counts).in_progress:
            assert time.monotonic() < deadline, counts
            time.sleep(0.1)
        assert (counts.completed, counts.total) == (files, files), counts


def _check(server: ServerProcess, folder: Path, store: str, file_ids: list[str]) -> None:
    with _client(server) as client:
        listed = [file.id for file in client.vector_stores.files.list(store, limit=100)]
        assert sorted(listed) == sorted(file_ids)
        for number, file_id in enumerate(file_ids):
            for text in _chunks(document(number)):
                word = _WORD.findall(text)[0]
                found = client.vector_stores.search(
                    store,
                    query=word,
                    max_num_results=1,
                    ranking_options=_WORDS_ALONE,  # type: ignore[arg-type]
                ).data
                assert found, word
                assert (found[0].file_id, found[0].content[0].text) == (file_id, text), word
    # Twice the same chunk would share its words, and its place in the ranking, with nobody else: count them instead.
    with closing(sqlite3.connect(folder / "data/retrieval/retrieval.db")) as connection:
        (rows,) = connection.execute("SELECT count(*) FROM chunks").fetchone()
        (expected, members) = connection.execute("SELECT sum(chunks), count(*) FROM members").fetchone()
        (garbage,) = connection.execute("SELECT count(*) FROM garbage").fetchone()
    assert members == len(file_ids)
    assert garbage or rows == expected
    print(f"{rows} chunks of {members} files, each findable", flush=True)


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=200, help=f"files of about {CHUNKS} chunks")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--longest", type=float, default=0.6, help="seconds from a start to the next kill, at most")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 10_000)
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    upstream = ScriptedUpstream()
    with tempfile.TemporaryDirectory() as folder:
        trial(Path(folder), upstream, options.files, options.kills, seed=options.seed, longest=options.longest)
    upstream.stop()


if __name__ == "__main__":
    _main()
