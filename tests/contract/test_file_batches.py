"""/vector_stores/{vector_store_id}/file_batches through the official client."""

import httpx
import openai
import pytest
from openai import OpenAI

from tests.server_process import ServerProcess
from tests.vector_stores import CATS, LOOMS, TEA, filled_store, upload


@pytest.mark.operation("createVectorStoreFileBatch", "getVectorStoreFileBatch", "listFilesInVectorStoreBatch")
def test_life(client: OpenAI) -> None:
    store = client.vector_stores.create(name="Library")
    files = [upload(client, f"{number}.md", text).id for number, text in enumerate((LOOMS, CATS))]
    table = client.files.create(file=("a.csv", b"a"), purpose="assistants").id
    batch = client.vector_stores.file_batches.create(store.id, file_ids=[*files, table], attributes={"shelf": 3})
    assert batch.id.startswith("vsfb_")
    assert (batch.object, batch.status, batch.vector_store_id) == ("vector_store.files_batch", "in_progress", store.id)
    assert batch.file_counts.total == 3
    done = client.vector_stores.file_batches.poll(batch.id, vector_store_id=store.id)
    assert (done.status, done.file_counts.completed, done.file_counts.failed) == ("completed", 2, 1)
    listed = client.vector_stores.file_batches.list_files(batch.id, vector_store_id=store.id, order="asc", limit=2)
    assert [file.id for file in listed] == [*files, table]
    assert all(file.attributes == {"shelf": 3} for file in listed.data)
    failed = client.vector_stores.file_batches.list_files(batch.id, vector_store_id=store.id, filter="failed")
    assert [file.id for file in failed] == [table]
    # A batch that has ended stays as it is.
    assert client.vector_stores.file_batches.cancel(batch.id, vector_store_id=store.id) == done


def test_files_that_bring_their_own(client: OpenAI) -> None:
    store = client.vector_stores.create(name="Library")
    long, short = upload(client, "long.txt", " ".join([LOOMS] * 30)).id, upload(client, "short.txt", TEA).id
    strategy = {"type": "static", "static": {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 50}}
    batch = client.vector_stores.file_batches.create(
        store.id,
        files=[
            {"file_id": long, "attributes": {"year": 1}, "chunking_strategy": strategy},  # type: ignore[typeddict-item]
            {"file_id": short},
        ],
    )
    assert client.vector_stores.file_batches.poll(batch.id, vector_store_id=store.id).file_counts.completed == 2
    placed = {file.id: file for file in client.vector_stores.files.list(store.id)}
    assert (placed[long].attributes, placed[short].attributes) == ({"year": 1}, {})
    assert placed[long].to_dict()["chunking_strategy"] == strategy


def test_upload_and_poll(client: OpenAI) -> None:
    store = client.vector_stores.create(name="Library")
    batch = client.vector_stores.file_batches.upload_and_poll(
        store.id, files=[("a.txt", LOOMS.encode()), ("b.txt", CATS.encode())]
    )
    assert (batch.status, batch.file_counts.completed) == ("completed", 2)


@pytest.mark.operation("cancelVectorStoreFileBatch")
def test_cancel(client: OpenAI) -> None:
    store = client.vector_stores.create(name="Library")
    prose = " ".join(f"{LOOMS} {number}" for number in range(2000))
    files = [upload(client, f"{number}.txt", f"{number} {prose}").id for number in range(6)]
    batch = client.vector_stores.file_batches.create(store.id, file_ids=files)
    cancelled = client.vector_stores.file_batches.cancel(batch.id, vector_store_id=store.id)
    assert (cancelled.status, cancelled.file_counts.in_progress) == ("cancelled", 0)
    assert cancelled.file_counts.cancelled >= 4
    assert client.vector_stores.file_batches.retrieve(batch.id, vector_store_id=store.id) == cancelled
    assert client.vector_stores.retrieve(store.id).status == "completed"
    assert client.vector_stores.search(store.id, query="loom").data == []
    # A cancelled file can come again.
    client.vector_stores.files.delete(files[0], vector_store_id=store.id)
    again = client.vector_stores.file_batches.create_and_poll(store.id, file_ids=[upload(client, "a.txt", CATS).id])
    assert again.status == "completed"


def test_files_that_are_there_already(client: OpenAI) -> None:
    store, files = filled_store(client, LOOMS, CATS)
    batch = client.vector_stores.file_batches.create(store.id, file_ids=files)
    assert (batch.status, batch.file_counts.completed, batch.file_counts.total) == ("completed", 2, 2)
    assert client.vector_stores.retrieve(store.id).file_counts.total == 2


def test_a_batch_keeps_its_files_whoever_puts_them_in_again(client: OpenAI) -> None:
    store = client.vector_stores.create(name="Library")
    files = [upload(client, f"{number}.txt", f"{number} {LOOMS}").id for number in range(3)]
    batches = client.vector_stores.file_batches
    first = batches.create(store.id, file_ids=files)
    second = batches.create(store.id, file_ids=files[:2])
    static = {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 0}
    strategy = {"type": "static", "static": static}
    client.vector_stores.files.create(store.id, file_id=files[0], chunking_strategy=strategy)  # type: ignore[arg-type]
    for batch, total in ((first, 3), (second, 2)):
        done = batches.poll(batch.id, vector_store_id=store.id)
        assert (done.status, done.file_counts.completed, done.file_counts.total) == ("completed", total, total)
        assert len(batches.list_files(batch.id, vector_store_id=store.id).data) == total
    client.vector_stores.files.delete(files[1], vector_store_id=store.id)
    assert batches.retrieve(first.id, vector_store_id=store.id).file_counts.total == 2


def test_a_large_batch(client: OpenAI, server: ServerProcess) -> None:
    store = client.vector_stores.create(name="Library")
    files = [{"file_id": upload(client, "a.csv", "a").id} for _ in range(300)]
    batch = client.vector_stores.file_batches.create(store.id, files=files)  # type: ignore[arg-type]
    done = client.vector_stores.file_batches.poll(batch.id, vector_store_id=store.id)
    assert done.file_counts.failed == 300
    answer = httpx.post(f"{server.url}/vector_stores/{store.id}/file_batches", json={"files": files * 7})
    assert answer.json()["error"]["code"] == "array_above_max_length"


def test_what_is_refused(client: OpenAI, server: ServerProcess) -> None:
    store, (file_id,) = filled_store(client, LOOMS)
    url = f"{server.url}/vector_stores/{store.id}/file_batches"
    for body, param, code in (
        ({}, "file_ids", "missing_required_parameter"),
        ({"file_ids": []}, "file_ids", "empty_array"),
        ({"file_ids": [file_id], "files": [{"file_id": file_id}]}, "files", "mutually_exclusive_parameters"),
        ({"file_ids": ["msg_1"]}, "file_ids[0]", "invalid_value"),
        ({"files": [{"file_id": "msg_1"}]}, "files[0].file_id", "invalid_value"),
        ({"files": [{}]}, "files[0].file_id", "missing_required_parameter"),
        (
            {"files": [{"file_id": file_id, "chunking_strategy": {"type": "static"}}]},
            "files[0].chunking_strategy.static",
            "missing_required_parameter",
        ),
    ):
        answer = httpx.post(url, json=body)
        error = answer.json()["error"]
        assert (answer.status_code, error["param"], error["code"]) == (400, param, code), error
    batches = client.vector_stores.file_batches
    with pytest.raises(openai.NotFoundError, match="No such File object: file-none"):
        batches.create(store.id, file_ids=[file_id, "file-none"])
    with pytest.raises(openai.NotFoundError, match="No vector store file batch found with id 'vsfb_none'."):
        batches.retrieve("vsfb_none", vector_store_id=store.id)
    other = client.vector_stores.create(name="Other")
    batch = batches.create(store.id, file_ids=[file_id])
    with pytest.raises(openai.NotFoundError):
        batches.retrieve(batch.id, vector_store_id=other.id)
    assert httpx.get(f"{url}/{batch.id}").headers["openai-poll-after-ms"] == "200"
