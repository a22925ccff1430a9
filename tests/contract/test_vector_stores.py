"""/vector_stores through the official client."""

import sqlite3
import subprocess
import sys
from contextlib import closing

import httpx
import openai
import pytest
from openai import OpenAI

from tests.conftest import KEY
from tests.server_process import ServerProcess
from tests.vector_stores import CATS, LOOMS, TEA, filled_store, ready, upload, wait_for


@pytest.mark.operation("createVectorStore", "getVectorStore", "modifyVectorStore", "deleteVectorStore")
def test_life(client: OpenAI) -> None:
    file = upload(client, "looms.md", LOOMS)
    store = client.vector_stores.create(
        name="Library", description="All about weaving", file_ids=[file.id], metadata={"a": "1"}
    )
    assert store.id.startswith("vs_")
    assert (store.object, store.status, store.file_counts.total) == ("vector_store", "in_progress", 1)
    store = ready(client, store.id)
    assert (store.status, store.file_counts.completed, store.metadata) == ("completed", 1, {"a": "1"})
    assert store.usage_bytes > len(LOOMS)
    changed = client.vector_stores.update(store.id, name="Books", metadata={"b": "2"})
    assert (changed.name, changed.metadata, changed.file_counts) == ("Books", {"b": "2"}, store.file_counts)
    assert client.vector_stores.retrieve(store.id) == changed
    deleted = client.vector_stores.delete(store.id)
    assert (deleted.id, deleted.object, deleted.deleted) == (store.id, "vector_store.deleted", True)
    with pytest.raises(openai.NotFoundError, match=f"No vector store found with id '{store.id}'."):
        client.vector_stores.retrieve(store.id)
    assert client.files.retrieve(file.id).id == file.id


def test_fields_on_the_wire(server: ServerProcess) -> None:
    store = httpx.post(f"{server.url}/vector_stores").json()
    assert list(store) == [
        *("id", "object", "created_at", "name", "description", "usage_bytes", "file_counts", "status"),
        *("expires_after", "expires_at", "last_active_at", "metadata"),
    ]
    assert store["file_counts"] == {"in_progress": 0, "completed": 0, "failed": 0, "cancelled": 0, "total": 0}
    assert (store["name"], store["description"], store["usage_bytes"], store["status"]) == (None, None, 0, "completed")
    assert (store["expires_after"], store["expires_at"], store["metadata"]) == (None, None, {})
    assert len(store["id"]) == 35


def test_a_chosen_id(client: OpenAI) -> None:
    store = client.vector_stores.create(name="Mine", extra_body={"id": "vs_of_my_configuration"})
    assert store.id == "vs_of_my_configuration"
    with pytest.raises(openai.BadRequestError, match="already in use"):
        client.vector_stores.create(name="Mine", extra_body={"id": store.id})
    client.vector_stores.delete(store.id)


def test_listing_and_deleting_reaches_all(server: ServerProcess) -> None:
    # Not strict: a store without a name has none, though the client's types want one [R].
    with OpenAI(base_url=server.url, api_key=KEY) as client:
        made = {client.vector_stores.create().id for _ in range(5)}
        shown = {store.id: store for store in client.vector_stores.list(limit=100)}
        assert [shown[store_id] for store_id in made] == [client.vector_stores.retrieve(store_id) for store_id in made]
        for store in client.vector_stores.list(limit=2):
            if store.id in made:
                client.vector_stores.delete(store.id)
                made.discard(store.id)
        assert not made


def test_what_is_refused(client: OpenAI, server: ServerProcess) -> None:
    with pytest.raises(openai.NotFoundError, match="No such File object: file-none"):
        client.vector_stores.create(file_ids=["file-none"])
    for body, param, code in (
        ({"file_ids": ["thread_1"]}, "file_ids[0]", "invalid_value"),
        ({"file_ids": ["file-1"] * 501}, "file_ids", "array_above_max_length"),
        ({"expires_after": {"anchor": "last_active_at", "days": 366}}, "expires_after.days", "integer_above_max_value"),
        ({"expires_after": {"anchor": "created_at", "days": 1}}, "expires_after.anchor", "invalid_value"),
        (
            {"chunking_strategy": _static(99, 0)},
            "chunking_strategy.static.max_chunk_size_tokens",
            "integer_below_min_value",
        ),
        (
            {"chunking_strategy": _static(800, 401)},
            "chunking_strategy.static.chunk_overlap_tokens",
            "integer_above_max_value",
        ),
        ({"chunking_strategy": {"type": "semantic"}}, "chunking_strategy.type", "invalid_value"),
        ({"metadata": {"a": 1}}, "metadata.a", "invalid_type"),
    ):
        answer = httpx.post(f"{server.url}/vector_stores", json=body)
        error = answer.json()["error"]
        assert (answer.status_code, error["param"], error["code"]) == (400, param, code), error
    error = httpx.post(f"{server.url}/vector_stores", json={"chunking_strategy": _static(800, 401)}).json()["error"]
    assert error["message"].endswith("integer above maximum value. Expected a value <= 400, but got 401 instead.")


def test_long_filters_and_ids_are_bounded(client: OpenAI, server: ServerProcess) -> None:
    store, _ = filled_store(client, LOOMS)
    url, logged = f"{server.url}/vector_stores/{store.id}", len(server.log())
    many = {"type": "nin", "key": "a", "value": list(range(10_000))}
    assert httpx.post(f"{url}/search", json={"query": "loom", "filters": many}).json()["data"]
    for path, body in (
        ("search", {"query": "loom", "filters": {"type": "in", "key": "a", "value": list(range(10_001))}}),
        ("search", {"query": "loom", "filters": {"type": "or", "filters": [many] * 101}}),
        ("files", {"file_id": "file-" + "x" * 1000}),
        ("file_batches", {"file_ids": ["msg_" + "x" * 100_000]}),
    ):
        answer = httpx.post(f"{url}/{path}", json=body)
        assert answer.status_code == 400
        assert len(answer.text) < 1000
    assert max(map(len, server.log()[logged:].splitlines())) < 2000


def test_expiry(client: OpenAI, server: ServerProcess) -> None:
    store, (file_id,) = filled_store(client, LOOMS, expires_after={"anchor": "last_active_at", "days": 2})
    assert store.expires_after is not None
    assert store.expires_after.days == 2
    assert store.last_active_at is not None
    assert store.expires_at == store.last_active_at + 2 * 24 * 3600
    # Its times are moved in the table: days are too long for a test.
    _set(server, store.id, last_active_at=store.last_active_at - 1000, expires_at=store.expires_at - 1000)
    assert client.vector_stores.search(store.id, query="loom").data
    used = client.vector_stores.retrieve(store.id)
    assert (used.last_active_at or 0) >= store.last_active_at
    assert used.expires_at == (used.last_active_at or 0) + 2 * 24 * 3600

    _set(server, store.id, last_active_at=1, expires_at=2)
    assert client.vector_stores.retrieve(store.id).status == "expired"
    for use in (
        lambda: client.vector_stores.search(store.id, query="loom"),
        lambda: client.vector_stores.files.create(store.id, file_id=file_id),
        lambda: client.vector_stores.file_batches.create(store.id, file_ids=[file_id]),
        lambda: client.vector_stores.update(store.id, expires_after={"anchor": "last_active_at", "days": 3}),
    ):
        with pytest.raises(openai.BadRequestError, match=f"Vector store '{store.id}' has expired"):
            use()
    wait_for(lambda: client.vector_stores.retrieve(store.id).usage_bytes == 0)
    assert [file.id for file in client.vector_stores.files.list(store.id)] == [file_id]
    assert client.vector_stores.files.content(file_id, vector_store_id=store.id).data == []
    assert client.vector_stores.update(store.id, name="Gone").status == "expired"
    assert client.vector_stores.delete(store.id).deleted


def test_expiry_can_be_taken_away(client: OpenAI) -> None:
    store = client.vector_stores.create(name="S", expires_after={"anchor": "last_active_at", "days": 1})
    assert client.vector_stores.update(store.id, name="T").expires_at == store.expires_at
    assert client.vector_stores.update(store.id, expires_after=None).expires_at is None


@pytest.mark.operation("searchVectorStore")
def test_search(client: OpenAI) -> None:
    store, files = filled_store(client, LOOMS, CATS, TEA)
    page = client.vector_stores.search(store.id, query="animals that sleep")
    best = page.data[0]
    assert (best.file_id, best.filename, best.content[0].text) == (files[1], "1.txt", CATS)
    scores = [result.score for result in page.data]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)
    assert (page.object, page.to_dict()["search_query"]) == (
        "vector_store.search_results.page",
        ["animals that sleep"],
    )
    assert len(client.vector_stores.search(store.id, query="animals that sleep", max_num_results=1).data) == 1
    threshold = (scores[0] + scores[1]) / 2
    options = {"score_threshold": threshold}
    assert len(client.vector_stores.search(store.id, query="animals that sleep", ranking_options=options).data) == 1  # type: ignore[arg-type]


def test_several_queries_and_their_rewriting(client: OpenAI) -> None:
    store, files = filled_store(client, LOOMS, CATS, TEA)
    page = client.vector_stores.search(
        store.id, query=["What is the warp?", "please tell me about tea leaves"], rewrite_query=True, max_num_results=2
    )
    assert {result.file_id for result in page.data} == {files[0], files[2]}
    assert page.to_dict()["search_query"] == ["the warp", "tea leaves"]


def test_rankers(client: OpenAI) -> None:
    store, _ = filled_store(client, LOOMS, CATS)

    def score(**options: object) -> float:
        page = client.vector_stores.search(store.id, query="threads", ranking_options=options)  # type: ignore[arg-type]
        return page.data[0].score

    fused, dense = score(ranker="auto"), score(ranker="none")
    assert score(ranker="default-2024-11-15") == fused != dense
    # The stubs of the client do not know the weights, which the API took.
    assert score(hybrid_search={"embedding_weight": 1, "text_weight": 0}) == pytest.approx(dense)
    words = score(hybrid_search={"embedding_weight": 0, "text_weight": 1})
    assert fused == pytest.approx(0.45 * dense + 0.55 * words)


def test_search_with_filters(client: OpenAI) -> None:
    store, files = filled_store(client, LOOMS, LOOMS + " Twice.", LOOMS + " Thrice.")
    for number, file_id in enumerate(files):
        attributes: dict[str, str | float | bool] = {"year": 1800 + number, "shelf": "ab"[number % 2]}
        client.vector_stores.files.update(file_id, vector_store_id=store.id, attributes=attributes)
    page = client.vector_stores.search(
        store.id,
        query="loom",
        filters={
            "type": "and",
            "filters": [{"type": "gte", "key": "year", "value": 1801}, {"type": "eq", "key": "shelf", "value": "a"}],
        },
    )
    assert [(result.file_id, result.attributes) for result in page.data] == [(files[2], {"year": 1802, "shelf": "a"})]
    nothing = client.vector_stores.search(
        store.id, query="loom", filters={"type": "eq", "key": "year", "value": "1801"}
    )
    assert nothing.data == []


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({}, "query", "missing_required_parameter"),
        ({"query": 1}, "query", "invalid_type"),
        ({"query": []}, "query", "empty_array"),
        ({"query": ["a", 1]}, "query[1]", "invalid_type"),
        ({"query": "x" * 4097}, "query", "string_above_max_length"),
        ({"query": "a", "max_num_results": 51}, "max_num_results", "integer_above_max_value"),
        ({"query": "a", "ranking_options": {"ranker": "best"}}, "ranking_options.ranker", "invalid_value"),
        (
            {"query": "a", "ranking_options": {"score_threshold": 2}},
            "ranking_options.score_threshold",
            "decimal_above_max_value",
        ),
        ({"query": "a", "filters": {"type": "eq", "key": "a"}}, "filters.value", "missing_required_parameter"),
    ],
)
def test_searches_that_are_refused(client: OpenAI, server: ServerProcess, body: object, param: str, code: str) -> None:
    store = client.vector_stores.create(name="S")
    answer = httpx.post(f"{server.url}/vector_stores/{store.id}/search", json=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["param"], error["code"]) == (400, param, code), error


def test_an_empty_store_and_none(client: OpenAI) -> None:
    store = client.vector_stores.create(name="Empty")
    assert client.vector_stores.search(store.id, query="anything").data == []
    with pytest.raises(openai.NotFoundError, match="No vector store found with id 'vs_none'."):
        client.vector_stores.search("vs_none", query="anything")


def test_the_start_is_lean() -> None:
    heavy = "{'numpy', 'chromadb', 'onnxruntime', 'tiktoken', 'tokenizers'}"
    code = f"import sys, understudy.app; sys.exit(str({heavy} & sys.modules.keys() or ''))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stderr.strip() == ""


def _static(size: int, overlap: int) -> dict[str, object]:
    return {"type": "static", "static": {"max_chunk_size_tokens": size, "chunk_overlap_tokens": overlap}}


def _set(server: ServerProcess, store_id: str, **columns: int) -> None:
    names = ", ".join(f"{name} = ?" for name in columns)
    with closing(sqlite3.connect(server.data_dir / "understudy.db")) as database, database:
        database.execute(f"UPDATE vector_stores SET {names} WHERE id = ?", [*columns.values(), store_id])
