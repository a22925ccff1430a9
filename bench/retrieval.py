"""`make bench`: file search beside baselines of the same run. Nothing is asserted.

    bench/retrieval.py [--collection FOLDER …] [--sizes N,N] [--write FILE]

A collection is a folder in BEIR's layout (corpus.jsonl, queries.jsonl, qrels.tsv), or one of `questions.csv` with the
exact spans that answer each question and `corpora/*.md`. Everything is asked through the server's search endpoint.
"""

import argparse
import contextlib
import csv
import json
import random
import re
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median, quantiles

import numpy as np
from openai import OpenAI
from processes import Process

from understudy_retrieval.chunking import Chunking
from understudy_retrieval.embedding.minilm import MinilmEmbedder
from understudy_retrieval.embedding.model_files import find_model
from understudy_retrieval.evaluation import ndcg, read, recall
from understudy_retrieval.tokens import tokenize

CHUNKING = Chunking(800, 400)
SIDES = {
    "fused, as it comes": {},
    "vectors alone": {"ranking_options": {"ranker": "none"}},
    "words alone": {"ranking_options": {"hybrid_search": {"embedding_weight": 0, "text_weight": 1}}},
}
WEIGHTS = (0.2, 0.3, 0.4, 0.45, 0.5, 0.6, 0.7)


@dataclass(frozen=True, slots=True)
class Task:
    """Documents by name, queries by name, and what a result is worth: by query, keys of results and their worth."""

    name: str
    documents: dict[str, str]
    queries: dict[str, str]
    judgements: dict[str, dict[str, float]]
    key: Callable[[str, str], str]
    """From a result's document and text to the key by which it is judged."""


def load(folder: Path) -> Task:
    if (folder / "questions.csv").exists():
        return spans(folder)
    collection = read(folder)
    return Task(folder.name, collection.documents, collection.queries, collection.judgements, lambda name, _: name)


def spans(folder: Path) -> Task:
    """A chunk of 800 tokens is relevant to a question if it touches a span that answers it."""
    documents = {path.stem: path.read_text() for path in sorted((folder / "corpora").iterdir())}
    cuts = {name: dict(chunks(text)) for name, text in documents.items()}
    # A passage may stand in a document twice: what counts is its text.
    numbers = {
        name: {documents[name][start:end]: number for number, (start, end) in found.items()}
        for name, found in cuts.items()
    }

    def key(name: str, text: str) -> str:
        return f"{name} {numbers[name].get(text)}"

    queries, judgements = {}, {}
    with (folder / "questions.csv").open(newline="") as rows:
        for number, row in enumerate(csv.DictReader(rows)):
            name = row["corpus_id"]
            answers = [(one["start_index"], one["end_index"]) for one in json.loads(row["references"])]
            queries[str(number)] = row["question"]
            judgements[str(number)] = {
                key(name, documents[name][start:end]): 1.0
                for start, end in cuts[name].values()
                if any(start < last and end > first for first, last in answers)
            }
    return Task(folder.name, documents, queries, judgements, key)


def chunks(text: str) -> Iterator[tuple[int, tuple[int, int]]]:
    grid = tokenize(text)
    for number in range(CHUNKING.count(grid.count)):
        first, end = CHUNKING.span(number, grid.count)
        yield number, (grid.cut(first), grid.cut(end))


class Server:
    """An Understudy with one vector store."""

    def __init__(self, folder: Path, *flags: str) -> None:
        self.folder = folder
        arguments = ("-m", "understudy", "serve", "--port", "{port}", "--data-dir", str(folder))
        self.process = Process(folder.with_suffix(".log"), *arguments, *flags)
        self.process.ready("GET", "/health")
        self.client = OpenAI(base_url=f"http://127.0.0.1:{self.process.port}/v1", api_key="none", timeout=120)
        self.store = self.client.vector_stores.create(name="bench").id
        self.names: dict[str, str] = {}

    def fill(self, documents: dict[str, str], chunking: Chunking = CHUNKING) -> float:
        """Put documents into the store; the CPU that this took, in seconds."""
        files = []
        for number, (name, text) in enumerate(documents.items()):
            file = self.client.files.create(file=(f"{number}.txt", text.encode()), purpose="assistants")
            self.names[file.id] = name
            files.append(file.id)
        before = self.process.cpu()
        static = {"max_chunk_size_tokens": chunking.size, "chunk_overlap_tokens": chunking.overlap}
        strategy = {"type": "static", "static": static}
        for start in range(0, len(files), 2000):
            part = files[start : start + 2000]
            self.client.vector_stores.file_batches.create(self.store, file_ids=part, chunking_strategy=strategy)  # type: ignore[arg-type]
        while (counts := self.client.vector_stores.retrieve(self.store).file_counts).in_progress:
            time.sleep(0.2)
        if counts.failed:
            raise RuntimeError(f"{counts.failed} files failed")
        return self.process.cpu() - before

    def settle(self) -> None:
        """Wait until the vector index has caught up, where the store is large enough for one."""
        query = "SELECT count(*), sum(chunks), sum(indexed) FROM members"
        with contextlib.closing(sqlite3.connect(self.folder / "retrieval" / "retrieval.db")) as connection:
            while True:
                files, size, indexed = connection.execute(query).fetchone()
                if size * 2 <= 8192 or indexed == files:
                    return
                time.sleep(0.5)

    def search(self, query: str, most: int = 10, **options: object) -> list[tuple[str, str]]:
        found = self.client.vector_stores.search(self.store, query=query, max_num_results=most, **options)  # type: ignore[arg-type]
        return [(self.names[one.file_id], one.content[0].text) for one in found.data]

    def stop(self) -> None:
        self.client.close()
        self.process.stop()


class Page:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def add(self, *lines: str) -> None:
        self.lines += lines
        print(*lines, sep="\n", flush=True)


def quality(page: Page, task: Task, folder: Path) -> None:
    server = Server(folder / task.name)
    cpu = server.fill(task.documents)
    tokens = sum(tokenize(text).count for text in task.documents.values())
    page.add(
        "",
        f"**{task.name}**: {len(task.documents):,} documents, {tokens:,} tokens, {len(task.queries):,} queries; "
        f"{tokens / cpu:,.0f} tokens ingested per CPU-second (aim: 7,000).",
        "",
        "| ranking | nDCG@10 | recall@5 |",
        "|---|---:|---:|",
    )
    for label, options in SIDES.items():
        row(page, label, task, {query: asked(server, task, text, options) for query, text in task.queries.items()})
    row(page, "baseline: each chunk cut off at 256 word pieces, vectors alone", task, truncated(task))
    weights(page, server, task)
    server.stop()


def asked(server: Server, task: Task, query: str, options: dict[str, object]) -> list[str]:
    return list(dict.fromkeys(task.key(*one) for one in server.search(query, 50, **options)))


def row(page: Page, label: str, task: Task, ranked: dict[str, list[str]]) -> None:
    gain = mean(ndcg(names, task.judgements[query]) for query, names in ranked.items())
    found = mean(recall(names, task.judgements[query]) for query, names in ranked.items())
    page.add(f"| {label} | {gain:.3f} | {found:.3f} |")


def truncated(task: Task) -> dict[str, list[str]]:
    """What a plain embedding of whole chunks finds: the same model, which reads the beginning of each."""
    model = find_model()
    assert model is not None
    embedder = MinilmEmbedder(model)
    keys, texts = [], []
    for name, text in task.documents.items():
        for _, (start, end) in chunks(text):
            keys.append(task.key(name, text[start:end]))
            texts.append(text[start:end])
    passages, questions = embedder.embed(texts), embedder.embed(list(task.queries.values()))
    found = {}
    for query, vector in zip(task.queries, questions, strict=True):
        order = np.argsort(-(passages @ vector), kind="stable")[:50]
        found[query] = list(dict.fromkeys(keys[place] for place in order))
    return found


def weights(page: Page, server: Server, task: Task) -> None:
    """The weight of the vectors that is best on a random half of the queries, and what it is worth on the other."""
    order = sorted(task.queries)
    random.Random(20261121).shuffle(order)
    halves = order[: len(order) // 2], order[len(order) // 2 :]
    gains: dict[float, tuple[float, float]] = {}
    for weight in WEIGHTS:
        options = {"ranking_options": {"hybrid_search": {"embedding_weight": weight, "text_weight": 1 - weight}}}
        ranked = {query: asked(server, task, task.queries[query], options) for query in order}
        first, second = (mean(ndcg(ranked[query], task.judgements[query]) for query in half) for half in halves)
        gains[weight] = first, second
    best = max(gains, key=lambda weight: gains[weight][0])
    shown = ", ".join(f"{weight}: {both[0]:.3f}/{both[1]:.3f}" for weight, both in gains.items())
    page.add(
        "",
        f"Weight of the vectors, nDCG@10 on one half of the queries / on the other: {shown}. The first half would "
        f"choose {best}, worth {gains[best][1]:.3f} on the second; the default, 0.45, is worth {gains[0.45][1]:.3f}.",
    )


def latency(page: Page, folder: Path, sizes: Sequence[int]) -> None:
    upstream = Process(folder / "upstream.log", str(Path(__file__).parent / "embeddings_process.py"), "{port}")
    page.add(
        "",
        "| chunks | query p50 | p95 | words alone p50 | vectors alone p50 | `GET` of the store p50 | memory | disk |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|",
    )
    url = f"http://127.0.0.1:{upstream.port}/v1"
    server = Server(folder / "latency", "--upstream", url, "--embedder", "upstream:random")
    vocabulary = [f"{first}{second}{third}" for first in SYLLABLES for second in SYLLABLES for third in SYLLABLES]
    chance = random.Random(7)
    ranks = [1 / (place + 3) for place in range(len(vocabulary))]
    done = 0
    for size in sizes:
        number = 0
        documents = {}
        while done < size:
            part = min(200, size - done)
            # 400 tokens a chunk, about two a word, as common as words are in a language.
            documents[f"{size}-{number}"] = " ".join(chance.choices(vocabulary, ranks, k=part * 150))
            done += part
            number += 1
        server.fill(documents, Chunking(400, 0))
        server.settle()
        queries = [" ".join(chance.choices(vocabulary, ranks, k=9)) for _ in range(150)]
        times = {label: timed(server, queries, options) for label, options in SIDES.items()}
        plain = [elapsed(lambda: server.client.vector_stores.retrieve(server.store)) for _ in queries]
        fused = times["fused, as it comes"]
        by_words, by_vectors = (median(times[f"{half} alone"]) for half in ("words", "vectors"))
        counted = sum(path.stat().st_size for path in (server.folder / "retrieval").rglob("*") if path.is_file())
        page.add(
            f"| {size:,} | {median(fused):.1f} ms | {quantiles(fused, n=20)[-1]:.1f} ms | "
            f"{by_words:.1f} ms | {by_vectors:.1f} ms | {median(plain):.1f} ms | "
            f"{server.process.memory('Rss'):.0f} MB | {counted / 1e6:.0f} MB |"
        )
    server.stop()
    upstream.stop()


SYLLABLES = re.findall("..", "babebibodadedidofafefifogagegigokakekikolalelilomamemimonaneninopapepipo")


def timed(server: Server, queries: Sequence[str], options: dict[str, object]) -> list[float]:
    server.search(queries[0], **options)
    return [elapsed(lambda query=query: server.search(query, **options)) for query in queries]  # type: ignore[misc]


def elapsed(work: Callable[[], object]) -> float:
    """Milliseconds."""
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--collection", action="append", default=[], type=Path, metavar="FOLDER")
    parser.add_argument(
        "--sizes", default="1000,10000", help="chunks at which queries are timed; 100000 takes ten minutes"
    )
    parser.add_argument("--write", type=Path, metavar="FILE", help="append the page to this one")
    options = parser.parse_args()
    page = Page()
    page.add("", "## File search")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for collection in options.collection:
            quality(page, load(collection), folder)
        if sizes := [int(size) for size in options.sizes.split(",") if size]:
            latency(page, folder, sizes)
    if options.write:
        with options.write.open("a") as output:
            output.write("\n".join(page.lines) + "\n")


if __name__ == "__main__":
    sys.exit(main())
