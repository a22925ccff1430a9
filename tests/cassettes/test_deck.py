"""Cassettes that are changed while a server runs, each of its parts with a deck of its own."""

from contextlib import closing
from pathlib import Path

import anyio
import pytest

from tests.scripted_upstream import ScriptedUpstream
from understudy.cassettes.cassette import CassetteError
from understudy.cassettes.deck import Deck
from understudy.chat_models.upstream import Upstream
from understudy.embeddings_upstream import UpstreamEmbedder
from understudy.errors import CassetteMissError
from understudy_retrieval.errors import EmbeddingError


def _models(url: str | None, deck: Deck) -> list[str]:
    async def listed() -> list[str]:
        upstream = Upstream(url, None, deck)
        try:
            return [str(model["id"]) for model in await upstream.list_models(None)]
        finally:
            await upstream.aclose()

    return anyio.run(listed)


def _embedder(url: str | None, deck: Deck) -> closing[UpstreamEmbedder]:
    return closing(UpstreamEmbedder(url, None, "words", deck))


def test_cassettes_in_and_out(upstream: ScriptedUpstream, tmp_path: Path) -> None:
    deck, path = Deck(), tmp_path / "folder" / "models.yaml"
    assert _models(upstream.url, deck) == ["scripted"]
    assert deck.eject() is None
    deck.insert(path, "once")
    assert _models(upstream.url, deck) == ["scripted"]
    with pytest.raises(CassetteError, match="is being recorded on"):
        Deck().insert(path, "new")
    report = deck.eject()
    assert report is not None
    assert (report.recorded, report.replayed, report.misses, report.unused) == (1, 0, [], 0)
    other = Deck()
    other.insert(path, "none")
    deck.insert(path, "new")
    assert _models(None, other) == _models(None, deck) == ["scripted"]
    assert deck.report is not None
    assert (deck.report.recorded, deck.report.replayed) == (0, 1)
    with pytest.raises(CassetteError, match="No such file"):
        other.insert(tmp_path / "absent.yaml", "none")
    assert other.play is None


def test_neither_cassette_nor_upstream(tmp_path: Path) -> None:
    with pytest.raises(CassetteMissError, match="no upstream, and no cassette"):
        _models(None, Deck())
    with _embedder(None, Deck()) as embedder, pytest.raises(EmbeddingError, match="no upstream, and no cassette"):
        embedder.embed(["x"])


def test_embeddings_without_a_cassette(upstream: ScriptedUpstream) -> None:
    with _embedder(upstream.url, Deck()) as embedder:
        assert embedder.embed(["x", "y"]).shape == (2, 32)


def test_embeddings_that_failed(tmp_path: Path) -> None:
    deck = Deck()
    deck.insert(tmp_path / "failed.yaml", "all")
    for url in ("http://127.0.0.1:9/v1", None):
        with _embedder(url, deck) as embedder, pytest.raises(EmbeddingError, match=r"is unreachable \(.*refused"):
            embedder.embed(["x"])
        deck.insert(tmp_path / "failed.yaml", "none")
