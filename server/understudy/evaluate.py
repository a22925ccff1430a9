"""`understudy eval FOLDER`: how well file search ranks on one's own documents, questions and judgements."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING

import anyio

from understudy.retrieval_folder import hint, make_embedder
from understudy.settings import Settings, StartError

if TYPE_CHECKING:
    from understudy_retrieval import Ranking, Retrieval
    from understudy_retrieval.evaluation import Collection

_DEEP = 50  # passages of a query, of which several may be of one document


def evaluate(settings: Settings, folder: Path) -> None:
    """Print nDCG@10 and recall@5 of the ranking and of its halves. Raises StartError."""
    from understudy_retrieval import Retrieval, RetrievalError
    from understudy_retrieval.evaluation import read

    if reason := hint(settings):
        print(f"note: {reason}", flush=True)
    try:
        collection = read(folder)
        with tempfile.TemporaryDirectory(prefix="understudy-eval-") as name:
            retrieval = Retrieval(Path(name) / "retrieval", make_embedder(settings))
            anyio.run(_evaluate, retrieval, collection, Path(name))
    except RetrievalError as error:
        raise StartError(str(error)) from error


async def _evaluate(retrieval: "Retrieval", collection: "Collection", folder: Path) -> None:
    retrieval.open()
    try:
        names = await _ingest(retrieval, collection, folder)
        print(f"{len(names):,} documents, {len(collection.queries):,} queries\n\n{'':24}  nDCG@10  recall@5")
        for label, ranking in _rankings(retrieval):
            gain, found = await _quality(retrieval, collection, names, ranking)
            print(f"{label:24}  {gain:7.3f}  {found:8.3f}", flush=True)
    finally:
        await retrieval.aclose()


async def _ingest(retrieval: "Retrieval", collection: "Collection", folder: Path) -> dict[int, str]:
    """The documents' names by their number."""
    from understudy_retrieval import FileRefusedError, Member

    names = {}
    path = anyio.Path(folder / "document.txt")
    for number, (name, text) in enumerate(collection.documents.items(), 1):
        await path.write_text(text, encoding="utf-8")
        try:
            await retrieval.ingest(Member(number, "vs_eval", f"file-{number}", "document.txt", 800, 400), Path(path))
        except FileRefusedError as error:
            print(f"{name}: {error.message}", flush=True)
            continue
        names[number] = name
        if number % 500 == 0:
            print(f"{number:,} of {len(collection.documents):,} documents embedded", flush=True)
    return names


def _rankings(retrieval: "Retrieval") -> "Iterator[tuple[str, Ranking]]":
    from understudy_retrieval import Ranking

    if retrieval.embedder is not None:
        yield "fused, as searches are", Ranking()
        yield "vectors alone", Ranking(1, 0)
    yield "words alone", Ranking(0, 1)


async def _quality(
    retrieval: "Retrieval", collection: "Collection", names: dict[int, str], ranking: "Ranking"
) -> tuple[float, float]:
    from understudy_retrieval.evaluation import ndcg, recall

    gains, recalls = [], []
    for query, text in collection.queries.items():
        hits = await retrieval.search(["vs_eval"], [text], limit=_DEEP, ranking=ranking)
        ranked = list(dict.fromkeys(names[hit.member_id] for hit in hits))
        gains.append(ndcg(ranked, collection.judgements[query]))
        recalls.append(recall(ranked, collection.judgements[query]))
    return mean(gains), mean(recalls)
