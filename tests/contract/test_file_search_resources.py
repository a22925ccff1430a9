"""Vector stores of assistants and threads: named, made inline, made by attachments."""

import time
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI

from tests.conftest import KEY
from tests.server_process import ServerProcess
from tests.vector_stores import CATS, LOOMS, filled_store, ready, upload

WEEK = 7 * 24 * 3600


@pytest.fixture
def lenient(server: ServerProcess) -> Iterator[OpenAI]:
    """Not strict: stores that come with something else have no name, though the client's types want one [R]."""
    with OpenAI(base_url=server.url, api_key=KEY, max_retries=0) as client:
        yield client


def test_a_store_that_is_named(client: OpenAI) -> None:
    store, _ = filled_store(client, LOOMS)
    resources = {"file_search": {"vector_store_ids": [store.id]}}
    assistant = client.beta.assistants.create(model="m", tools=[{"type": "file_search"}], tool_resources=resources)  # type: ignore[arg-type]
    thread = client.beta.threads.create(tool_resources=resources)  # type: ignore[arg-type]
    for owner in (assistant, thread):
        assert owner.tool_resources is not None
        assert owner.tool_resources.to_dict() == resources
    # The name stays when its store goes, and is checked when it is given again.
    client.vector_stores.delete(store.id)
    assert client.beta.threads.retrieve(thread.id) == thread
    assert client.beta.assistants.update(assistant.id, name="A").tool_resources == assistant.tool_resources
    with pytest.raises(openai.NotFoundError, match=f"No vector store found with id '{store.id}'."):
        client.beta.threads.update(thread.id, tool_resources=resources)  # type: ignore[arg-type]


def test_stores_made_inline(client: OpenAI, lenient: OpenAI) -> None:
    file = upload(client, "looms.txt", " ".join([LOOMS] * 30))
    strategy = {"type": "static", "static": {"max_chunk_size_tokens": 200, "chunk_overlap_tokens": 0}}
    inline = {
        "file_search": {
            "vector_stores": [{"file_ids": [file.id], "chunking_strategy": strategy, "metadata": {"a": "1"}}]
        }
    }
    assistant = client.beta.assistants.create(model="m", tools=[{"type": "file_search"}], tool_resources=inline)  # type: ignore[arg-type]
    thread = client.beta.threads.create(tool_resources=inline)  # type: ignore[arg-type]
    for owner, expires in ((assistant, False), (thread, True)):
        (store_id,) = owner.to_dict()["tool_resources"]["file_search"]["vector_store_ids"]  # type: ignore[index]
        store = ready(lenient, store_id)
        assert (store.metadata, store.file_counts.completed) == ({"a": "1"}, 1)
        assert (store.expires_at == (store.last_active_at or 0) + WEEK) if expires else store.expires_at is None
        placed = client.vector_stores.files.retrieve(file.id, vector_store_id=store_id)
        assert placed.to_dict()["chunking_strategy"] == strategy


def test_attachments_make_and_extend_the_threads_store(client: OpenAI, lenient: OpenAI) -> None:
    looms, cats, both = (
        upload(client, f"{name}.md", text).id for name, text in (("a", LOOMS), ("b", CATS), ("c", CATS))
    )
    thread = client.beta.threads.create(messages=[_message(looms, "file_search")])
    (store_id,) = _stores(client, thread.id)
    store = lenient.vector_stores.retrieve(store_id)
    assert store.expires_at == (store.last_active_at or 0) + WEEK
    assert abs((store.last_active_at or 0) - time.time()) < 10
    client.beta.threads.messages.create(thread.id, **_message(cats, "file_search"))
    client.beta.threads.messages.create(thread.id, **_message(both, "file_search", "code_interpreter"))
    assert _stores(client, thread.id) == [store_id]
    assert {file.id for file in client.vector_stores.files.list(store_id)} == {looms, cats, both}
    resources = client.beta.threads.retrieve(thread.id).tool_resources
    assert resources is not None
    assert resources.code_interpreter is not None
    assert resources.code_interpreter.file_ids == [both]
    assert ready(lenient, store_id).file_counts.completed == 3
    # A store that was deleted gives way to a new one.
    client.vector_stores.delete(store_id)
    client.beta.threads.messages.create(thread.id, **_message(cats, "file_search"))
    (new_id,) = _stores(client, thread.id)
    assert new_id != store_id
    client.files.delete(both)
    resources = client.beta.threads.retrieve(thread.id).tool_resources
    assert resources is not None
    assert resources.to_dict() == {
        "code_interpreter": {"file_ids": []},
        "file_search": {"vector_store_ids": [new_id]},
    }


def test_types_that_are_refused(client: OpenAI, server: ServerProcess) -> None:
    table, none = upload(client, "table.csv", "a,b").id, upload(client, "README", "text").id
    thread = client.beta.threads.create()
    for path, body, names in (
        (f"/threads/{thread.id}/messages", _message(table, "file_search"), ".csv"),
        ("/threads", {"messages": [_message(none, "file_search")]}, "none"),
        ("/assistants", {"model": "m", **_inline(table, none)}, ".csv, none"),
        ("/threads", _inline(table), ".csv"),
    ):
        answer = httpx.post(f"{server.url}{path}", json=body)
        error = answer.json()["error"]
        assert (answer.status_code, error["param"], error["code"]) == (400, "file_ids", "unsupported_file")
        assert error["message"] == (
            f"Files with extensions [{names}] are not supported for retrieval. See "
            "https://platform.openai.com/docs/assistants/tools/file-search/supported-files"
        )
    assert client.beta.threads.messages.list(thread.id).data == []
    client.beta.threads.messages.create(thread.id, **_message(table, "code_interpreter"))


def test_what_else_is_refused(client: OpenAI, server: ServerProcess) -> None:
    store = client.vector_stores.create(name="S")
    for search, status, param in (
        ({"vector_store_ids": ["vs_none"]}, 404, None),
        ({"vector_store_ids": [store.id, store.id]}, 400, "tool_resources.file_search.vector_store_ids"),
        ({"vector_stores": [{}, {}]}, 400, "tool_resources.file_search.vector_stores"),
        (
            {"vector_store_ids": [store.id], "vector_stores": [{}]},
            400,
            "tool_resources.file_search.vector_stores",
        ),
        (
            {"vector_stores": [{"file_ids": ["file-none"]}]},
            400,
            "tool_resources.file_search.vector_stores[0].file_ids",
        ),
    ):
        answer = httpx.post(f"{server.url}/threads", json={"tool_resources": {"file_search": search}})
        assert (answer.status_code, answer.json()["error"]["param"]) == (status, param), answer.json()


def _message(file_id: str, *tools: str) -> Any:
    attachment = {"file_id": file_id, "tools": [{"type": tool} for tool in tools]}
    return {"role": "user", "content": "Look at this.", "attachments": [attachment]}


def _inline(*file_ids: str) -> Any:
    return {"tool_resources": {"file_search": {"vector_stores": [{"file_ids": list(file_ids)}]}}}


def _stores(client: OpenAI, thread_id: str) -> list[str]:
    resources = client.beta.threads.retrieve(thread_id).tool_resources
    assert resources is not None
    assert resources.file_search is not None
    return resources.file_search.vector_store_ids or []
