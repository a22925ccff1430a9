"""Embeddings of an upstream: what it is asked, what it may answer; and a server that uses them."""

from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread

import numpy as np
import openai
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.conftest import official_client
from tests.scripted_upstream import ScriptedUpstream
from tests.server_process import ServerProcess
from tests.vector_stores import CATS, LOOMS, filled_store, wait_for
from understudy.embeddings_upstream import UpstreamEmbedder
from understudy_retrieval.errors import EmbeddingError

Answer = Callable[[dict[str, object]], Response]


class Embeddings:
    """An embeddings server that a test scripts."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.asked: list[dict[str, object]] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        routes = [Route("/{path:path}", self._answer, methods=["POST"])]
        self._server = uvicorn.Server(uvicorn.Config(Starlette(routes=routes), port=0, log_level="error"))
        self._thread = Thread(target=self._server.run, daemon=True)
        self._thread.start()
        wait_for(lambda: self._server.started)
        self.url = f"http://127.0.0.1:{self._server.servers[0].sockets[0].getsockname()[1]}"

    async def _answer(self, request: Request) -> Response:
        body = await request.json()
        self.asked.append(body)
        self.headers.append(dict(request.headers))
        self.paths.append(str(request.url).removeprefix(self.url))
        return self.answers.pop(0)(body) if self.answers else _lengths(body)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join()


def _lengths(body: dict[str, object]) -> Response:
    """Not of unit length, and not in order."""
    texts = body["input"]
    assert isinstance(texts, list)
    data = [{"index": number, "embedding": [len(text), 3.0, 0.0]} for number, text in enumerate(texts)]
    return JSONResponse({"object": "list", "data": data[::-1]})


def _says(content: object, status: int = 200) -> Answer:
    return lambda _body: JSONResponse(content, status)


@pytest.fixture
def server() -> Iterator[Embeddings]:
    server = Embeddings()
    yield server
    server.stop()


def _embedder(server: Embeddings, path: str = "/v1", key: str | None = "sk-up") -> UpstreamEmbedder:
    return UpstreamEmbedder(server.url + path, key, "words")


def test_vectors_in_order_and_of_unit_length(server: Embeddings) -> None:
    embedder = _embedder(server)
    vectors = embedder.embed(["four", "", *["x"] * 250])
    assert vectors.shape == (252, 3)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors[0], [0.8, 0.6, 0.0], atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert [len(asked["input"]) for asked in server.asked] == [100, 100, 52]  # type: ignore[arg-type]
    assert server.asked[0]["model"] == "words"
    assert server.headers[0]["authorization"] == "Bearer sk-up"
    assert set(server.paths) == {"/v1/embeddings"}
    assert (embedder.name, embedder.fingerprint) == ("upstream:words", "upstream:words/3")
    embedder.close()


def test_the_fingerprint_asks_once(server: Embeddings) -> None:
    embedder = _embedder(server, key=None)
    assert embedder.fingerprint == embedder.fingerprint == "upstream:words/3"
    assert len(server.asked) == 1
    assert "authorization" not in server.headers[0]
    embedder.close()


def test_azure(server: Embeddings) -> None:
    embedder = _embedder(server, "/openai?api-version=2024-10-21")
    embedder.embed(["a"])
    assert server.paths == ["/openai/deployments/words/embeddings?api-version=2024-10-21"]
    assert server.headers[0]["api-key"] == "sk-up"
    embedder.close()


def test_what_passes_is_tried_again(server: Embeddings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("understudy.embeddings_upstream._PAUSE", 0)
    server.answers = [_says({}, 429), _says({}, 503)]
    embedder = _embedder(server)
    assert embedder.embed(["a"]).shape == (1, 3)
    server.answers = [_says({"error": "sk-up is broke"}, 500)] * 3
    with pytest.raises(EmbeddingError, match=r"answered 500: .*\*\*\* is broke"):
        embedder.embed(["a"])
    assert len(server.asked) == 6
    embedder.close()


@pytest.mark.parametrize(
    "answer",
    [
        _says({"error": {"message": "no such model"}}, 404),
        _says({"data": []}),
        _says({"data": [{"index": 0, "embedding": "AAAA"}]}),
        _says({"data": [{"index": 0, "embedding": []}, {"index": 1, "embedding": []}]}),
        _says(["x"]),
        lambda _body: Response("nonsense"),
    ],
)
def test_other_answers_are_errors(server: Embeddings, answer: Answer) -> None:
    server.answers = [answer]
    embedder = _embedder(server)
    with pytest.raises(EmbeddingError):
        embedder.embed(["a"])
    assert len(server.asked) == 1
    embedder.close()


def test_an_upstream_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("understudy.embeddings_upstream._PAUSE", 0)
    embedder = UpstreamEmbedder("http://127.0.0.1:9/v1", "sk-up", "words")
    with pytest.raises(EmbeddingError, match=r"http://127\.0\.0\.1:9 is unreachable"):
        embedder.embed(["a"])
    embedder.close()


def test_a_server_with_it_and_then_with_another(upstream: ScriptedUpstream, tmp_path: Path) -> None:
    flags = ("--upstream", upstream.url, "--embedder", "upstream:random")
    server = ServerProcess(tmp_path / "data", *flags)
    assert server.health()["embedder"] == {"name": "upstream:random", "hint": None}
    with official_client(server) as client:
        store, files = filled_store(client, LOOMS, CATS)
        assert client.vector_stores.search(store.id, query=CATS).data[0].file_id == files[1]
    assert server.stop() == 0

    server = ServerProcess(tmp_path / "data", "--upstream", upstream.url, "--embedder", "upstream:another")
    with official_client(server) as client:
        with pytest.raises(openai.BadRequestError, match="understudy reindex"):
            client.vector_stores.search(store.id, query=CATS)
        another, _ = filled_store(client, LOOMS, CATS)
        assert client.vector_stores.search(another.id, query=CATS).data[0].content[0].text == CATS
        client.vector_stores.files.delete(files[0], vector_store_id=store.id)
        mixed = client.vector_stores.files.create_and_poll(files[0], vector_store_id=store.id)
        assert mixed.status == "failed"
        assert mixed.last_error is not None
        assert "understudy reindex" in mixed.last_error.message
    assert server.stop() == 0


def test_a_server_without_a_model(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "data", "--embedder", "none")
    assert server.health()["embedder"] == {"name": None, "hint": None}
    with official_client(server) as client:
        store, files = filled_store(client, LOOMS, CATS)
        (found,) = client.vector_stores.search(store.id, query="Do cats hunt?").data
        assert found.file_id == files[1]
    assert server.stop() == 0
