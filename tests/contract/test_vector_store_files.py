"""/vector_stores/{vector_store_id}/files through the official client."""

import httpx
import openai
import pytest
from openai import OpenAI

from tests.server_process import ServerProcess
from tests.vector_stores import CATS, LOOMS, TEA, filled_store, ready, upload, wait_for


@pytest.mark.operation(
    "createVectorStoreFile",
    "getVectorStoreFile",
    "updateVectorStoreFileAttributes",
    "retrieveVectorStoreFileContent",
    "deleteVectorStoreFile",
)
def test_life(client: OpenAI) -> None:
    store = client.vector_stores.create(name="Library")
    file = upload(client, "looms.txt", LOOMS)
    placed = client.vector_stores.files.create(store.id, file_id=file.id, attributes={"year": 1804, "old": True})
    assert (placed.id, placed.object, placed.status, placed.vector_store_id) == (
        file.id,
        "vector_store.file",
        "in_progress",
        store.id,
    )
    done = client.vector_stores.files.poll(file.id, vector_store_id=store.id)
    assert (done.status, done.last_error, done.attributes) == ("completed", None, {"year": 1804, "old": True})
    assert done.usage_bytes == client.vector_stores.retrieve(store.id).usage_bytes > 0
    changed = client.vector_stores.files.update(file.id, vector_store_id=store.id, attributes={"year": "MDCCCIV"})
    assert changed.attributes == {"year": "MDCCCIV"}
    assert client.vector_stores.files.retrieve(file.id, vector_store_id=store.id) == changed
    content = client.vector_stores.files.content(file.id, vector_store_id=store.id)
    assert (content.object, [part.text for part in content.data]) == ("vector_store.file_content.page", [LOOMS])
    deleted = client.vector_stores.files.delete(file.id, vector_store_id=store.id)
    assert (deleted.id, deleted.object, deleted.deleted) == (file.id, "vector_store.file.deleted", True)
    with pytest.raises(openai.NotFoundError, match=f"No file found with id '{file.id}'"):
        client.vector_stores.files.retrieve(file.id, vector_store_id=store.id)
    assert client.vector_stores.retrieve(store.id).usage_bytes == 0
    assert client.files.retrieve(file.id).id == file.id


def test_fields_on_the_wire(client: OpenAI, server: ServerProcess) -> None:
    store = client.vector_stores.create(name="Library")
    file = upload(client, "looms.txt", LOOMS)
    created = httpx.post(f"{server.url}/vector_stores/{store.id}/files", json={"file_id": file.id})
    assert list(created.json()) == [
        *("id", "object", "usage_bytes", "created_at", "vector_store_id", "status", "last_error"),
        *("chunking_strategy", "attributes"),
    ]
    chunking = {"type": "static", "static": {"max_chunk_size_tokens": 800, "chunk_overlap_tokens": 400}}
    assert (created.json()["chunking_strategy"], created.json()["attributes"]) == (chunking, {})
    retrieved = httpx.get(f"{server.url}/vector_stores/{store.id}/files/{file.id}")
    assert retrieved.headers["openai-poll-after-ms"] == "200"


def test_files_that_cannot_be_searched(client: OpenAI) -> None:
    store = client.vector_stores.create(name="Library")
    for name, content, code, message in (
        ("table.csv", b"a,b", "unsupported_file", "The file type is not supported."),
        ("noname", b"text", "unsupported_file", "The file type is not supported."),
        ("broken.pdf", b"%PDF-1.7 broken", "invalid_file", "The file could not be parsed."),
        ("empty.txt", b"  \n", "invalid_file", "The file could not be parsed."),
    ):
        file = client.files.create(file=(name, content), purpose="assistants")
        placed = client.vector_stores.files.create_and_poll(file.id, vector_store_id=store.id)
        assert (placed.status, placed.usage_bytes) == ("failed", 0)
        assert placed.last_error is not None
        assert (placed.last_error.code, placed.last_error.message) == (code, message)
        assert client.vector_stores.files.content(file.id, vector_store_id=store.id).data == []
    counts = client.vector_stores.retrieve(store.id).file_counts
    assert (counts.failed, counts.total) == (4, 4)


def test_a_file_that_is_there_stays_or_is_cut_otherwise(client: OpenAI) -> None:
    store, (file_id,) = filled_store(client, " ".join([LOOMS] * 40))

    def place(**options: object) -> int:
        client.vector_stores.files.create_and_poll(file_id, vector_store_id=store.id, **options)  # type: ignore[arg-type]
        found = client.vector_stores.search(store.id, query="warp", max_num_results=50)
        assert {result.file_id for result in found} == {file_id}
        return len(found.data)

    before = client.vector_stores.files.retrieve(file_id, vector_store_id=store.id)
    assert place() == 1
    assert client.vector_stores.files.retrieve(file_id, vector_store_id=store.id) == before
    strategy = {"type": "static", "static": {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 0}}
    chunks = place(chunking_strategy=strategy, attributes={"a": 1})
    assert chunks > 5
    assert place() == chunks  # no strategy asks for no other
    cut = client.vector_stores.files.retrieve(file_id, vector_store_id=store.id)
    assert cut.chunking_strategy is not None
    assert (cut.chunking_strategy.to_dict(), cut.attributes) == (strategy, {"a": 1})
    assert client.vector_stores.retrieve(store.id).file_counts.total == 1
    assert place(chunking_strategy={"type": "auto"}) == 1
    assert client.vector_stores.files.retrieve(file_id, vector_store_id=store.id).attributes == {"a": 1}


@pytest.mark.operation("listVectorStoreFiles")
def test_list_with_a_filter_and_cursors_of_one_store(client: OpenAI) -> None:
    store, files = filled_store(client, LOOMS, CATS, TEA)
    other = client.vector_stores.create(name="Other", file_ids=files)
    table = client.files.create(file=("a.csv", b"a"), purpose="assistants")
    client.vector_stores.files.create_and_poll(table.id, vector_store_id=store.id)
    listed = client.vector_stores.files.list
    assert [file.id for file in listed(store.id, filter="completed")] == files[::-1]
    assert [file.id for file in listed(store.id, filter="failed")] == [table.id]
    assert listed(store.id, filter="cancelled").data == []
    assert [file.id for file in listed(store.id, order="asc", limit=1)] == [*files, table.id]
    assert [file.id for file in listed(other.id, order="asc", after=files[0])] == files[1:]
    for file in listed(store.id, limit=1):
        client.vector_stores.files.delete(file.id, vector_store_id=store.id)
    assert listed(store.id).data == []
    assert [file.id for file in listed(other.id, order="asc", limit=2)] == files
    with pytest.raises(openai.NotFoundError):
        listed(other.id, after="file-none")


def test_a_deleted_file_leaves_every_store(client: OpenAI) -> None:
    store, files = filled_store(client, LOOMS, CATS)
    other = client.vector_stores.create(name="Other", file_ids=files)
    ready(client, other.id)
    client.files.delete(files[0])
    for one in (store.id, other.id):
        assert [file.id for file in client.vector_stores.files.list(one)] == [files[1]]
        assert client.vector_stores.retrieve(one).file_counts.total == 1
        assert files[0] not in {result.file_id for result in client.vector_stores.search(one, query="loom")}


def test_what_is_refused(client: OpenAI, server: ServerProcess) -> None:
    store = client.vector_stores.create(name="Library")
    file = upload(client, "a.txt", LOOMS)
    with pytest.raises(openai.NotFoundError, match="No such File object: file-none"):
        client.vector_stores.files.create(store.id, file_id="file-none")
    with pytest.raises(openai.NotFoundError, match="No vector store found with id 'vs_none'."):
        client.vector_stores.files.create("vs_none", file_id=file.id)
    for attributes, param, code in (
        ({str(number): 1 for number in range(17)}, "attributes", "object_above_max_properties"),
        ({"a": "x" * 513}, "attributes.a", "string_above_max_length"),
        ({"a": None}, "attributes.a", "invalid_type"),
        ({"a": ["b"]}, "attributes.a", "invalid_type"),
        ({"k" * 65: 1}, f"attributes.{'k' * 65}", "property_name_above_max_length"),
    ):
        body = {"file_id": file.id, "attributes": attributes}
        answer = httpx.post(f"{server.url}/vector_stores/{store.id}/files", json=body)
        error = answer.json()["error"]
        assert (answer.status_code, error["param"], error["code"]) == (400, param, code), error
    assert httpx.post(f"{server.url}/vector_stores/{store.id}/files/{file.id}", json={}).status_code == 400


def test_counts_while_files_come_and_go(client: OpenAI) -> None:
    store = client.vector_stores.create(name="Library")
    files = [upload(client, f"{number}.txt", f"{LOOMS} {number}").id for number in range(12)]
    for file_id in files:
        client.vector_stores.files.create(store.id, file_id=file_id)
        counts = client.vector_stores.retrieve(store.id).file_counts
        assert counts.in_progress + counts.completed == counts.total
    client.vector_stores.files.delete(files[-1], vector_store_id=store.id)
    client.files.delete(files[0])
    wait_for(lambda: client.vector_stores.retrieve(store.id).status == "completed")
    done = client.vector_stores.retrieve(store.id)
    assert (done.file_counts.completed, done.file_counts.total) == (10, 10)
    assert done.usage_bytes == sum(file.usage_bytes for file in client.vector_stores.files.list(store.id))
