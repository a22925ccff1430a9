"""What bodies need not say: null is as good as nothing, an update changes what it names, some bodies may be empty."""

from typing import Any

import httpx
import pytest
from openai import OpenAI
from pydantic import BaseModel

from tests.contract.calls import Ids, grown
from tests.contract.requests import FUNCTION, JSON, MESSAGE, PATHS, STATIC, least, post, put
from tests.runs.streams import assistant_with, function, thread_with
from tests.scripted_upstream import Reply, ScriptedUpstream
from tests.server_process import ServerProcess
from tests.vector_stores import LOOMS, upload
from understudy.schemas import assistants, file_batches, messages, runs, threads, vector_store_files, vector_stores

CREATED: dict[str, type[BaseModel]] = {
    "createAssistant": assistants.AssistantCreate,
    "createThread": threads.ThreadCreate,
    "createMessage": messages.MessageCreate,
    "createRun": runs.RunCreate,
    "createThreadAndRun": runs.ThreadAndRunCreate,
    "createVectorStore": vector_stores.VectorStoreCreate,
    "createVectorStoreFile": vector_store_files.VectorStoreFileCreate,
    "createVectorStoreFileBatch": file_batches.FileBatchCreate,
    "searchVectorStore": vector_stores.VectorStoreSearch,
}
MODIFIED: dict[str, type[BaseModel]] = {
    "modifyAssistant": assistants.AssistantUpdate,
    "modifyThread": threads.ThreadUpdate,
    "modifyMessage": messages.MessageUpdate,
    "modifyRun": runs.RunUpdate,
    "modifyVectorStore": vector_stores.VectorStoreUpdate,
}


def _optional(operations: dict[str, type[BaseModel]]) -> list[tuple[str, str]]:
    return [
        (operation, field.alias or name)
        for operation, model in operations.items()
        for name, field in model.model_fields.items()
        if not field.is_required()
    ]


FILE_SEARCH: JSON = {"type": "file_search", "file_search": {"ranking_options": {"score_threshold": 0.5}}}
SEARCH: JSON = {"type": "file_search", "file_search": {}}
SCHEMA: JSON = {"type": "json_schema", "json_schema": {"name": "answer", "schema": {"type": "object"}}}
IMAGE: JSON = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
INLINE: JSON = {"file_search": {"vector_stores": [{}]}}
# What lies deeper: the operation, what its body says besides, and the place of a null in it.
NESTED = [
    *(
        ("createAssistant", {"tools": [FUNCTION]}, f"tools[0].function.{name}")
        for name in ("description", "parameters")
    ),
    ("createAssistant", {"tools": [FUNCTION]}, "tools[0].function.strict"),
    ("createAssistant", {"tools": [{"type": "file_search"}]}, "tools[0].file_search"),
    ("createAssistant", {"tools": [FILE_SEARCH]}, "tools[0].file_search.max_num_results"),
    ("createAssistant", {"tools": [FILE_SEARCH]}, "tools[0].file_search.ranking_options.ranker"),
    ("createAssistant", {"tools": [FILE_SEARCH]}, "tools[0].file_search.ranking_options.hybrid_search"),
    ("createAssistant", {"tools": [SEARCH]}, "tools[0].file_search.ranking_options"),
    ("createAssistant", {"response_format": SCHEMA}, "response_format.json_schema.description"),
    ("createAssistant", {"response_format": SCHEMA}, "response_format.json_schema.strict"),
    *(
        (operation, {"tool_resources": {}}, f"tool_resources.{tool}")
        for operation in ("createAssistant", "createThread", "createThreadAndRun")
        for tool in ("code_interpreter", "file_search")
    ),
    ("createThread", {"tool_resources": {"code_interpreter": {}}}, "tool_resources.code_interpreter.file_ids"),
    ("createThread", {"tool_resources": {"file_search": {}}}, "tool_resources.file_search.vector_store_ids"),
    ("createThread", {"tool_resources": {"file_search": {}}}, "tool_resources.file_search.vector_stores"),
    *(
        ("createThread", {"tool_resources": INLINE}, f"tool_resources.file_search.vector_stores[0].{name}")
        for name in ("file_ids", "chunking_strategy", "metadata")
    ),
    ("createThread", {"messages": [MESSAGE]}, "messages[0].attachments"),
    ("createThread", {"messages": [MESSAGE]}, "messages[0].metadata"),
    ("createMessage", {"content": [IMAGE]}, "content[0].image_url.detail"),
    ("createRun", {"truncation_strategy": {"type": "auto"}}, "truncation_strategy.last_messages"),
    ("createRun", {"tool_choice": {"type": "code_interpreter"}}, "tool_choice.function"),
    ("createRun", {"additional_messages": [MESSAGE]}, "additional_messages[0].attachments"),
    *(
        ("createThreadAndRun", {"thread": {"messages": [MESSAGE]}}, f"thread.{name}")
        for name in ("metadata", "tool_resources")
    ),
    *(
        ("searchVectorStore", {"ranking_options": {}}, f"ranking_options.{name}")
        for name in ("ranker", "score_threshold", "hybrid_search")
    ),
]


@pytest.fixture(scope="module")
def ids(client: OpenAI, upstream: ScriptedUpstream) -> Ids:
    return grown(client, upstream)


@pytest.mark.parametrize(("operation", "field"), _optional(CREATED))
def test_null_for_a_field(client: OpenAI, ids: Ids, operation: str, field: str) -> None:
    body = least(operation, ids)
    if field == "file_ids" and field in body:
        body["files"] = [{"file_id": ids["file_id"]}]
    body.pop(field, None)
    _means_nothing(client, operation, ids, body, field)


@pytest.mark.parametrize(("operation", "besides", "place"), NESTED)
def test_null_within_a_field(client: OpenAI, ids: Ids, operation: str, besides: JSON, place: str) -> None:
    _means_nothing(client, operation, ids, least(operation, ids) | besides, place)


def _means_nothing(client: OpenAI, operation: str, ids: Ids, body: JSON, place: str) -> None:
    answers = []
    for one in (body, put(body, place, None)):
        if operation in ("createRun", "createMessage"):
            ids = ids | {"thread_id": thread_with(client)}
        answers.append(_anonymous(post(client, operation, ids, one)))
    assert answers[0] == answers[1]


def _anonymous(value: Any) -> Any:
    """Without ids, times, and what goes on in the background."""
    hidden = ("id", "_at", "_ids", "status", "usage_bytes", "file_counts")
    if isinstance(value, dict):
        return {name: _anonymous(one) for name, one in value.items() if not name.endswith(hidden)}
    return [_anonymous(one) for one in value] if isinstance(value, list) else value


def _full(client: OpenAI, operation: str, ids: Ids) -> tuple[JSON, Ids]:
    """An object to modify with everything set, and the ids that lead to it."""
    resources = {
        "code_interpreter": {"file_ids": [ids["file_id"]]},
        "file_search": {"vector_store_ids": [ids["vector_store_id"]]},
    }
    metadata = {"a": "1", "b": "2"}
    match operation:
        case "modifyAssistant":
            texts = {"model": "m", "name": "A", "description": "D", "instructions": "I", "reasoning_effort": "low"}
            numbers = {"temperature": 0.5, "top_p": 0.5, "response_format": SCHEMA}
            tools = {"tools": [FUNCTION, FILE_SEARCH], "tool_resources": resources}
            made = post(client, "createAssistant", ids, texts | numbers | tools | {"metadata": metadata})
            return made, {"assistant_id": made["id"]}
        case "modifyThread":
            made = post(client, "createThread", ids, {"tool_resources": resources, "metadata": metadata})
            return made, {"thread_id": made["id"]}
        case "modifyMessage":
            made = post(client, "createMessage", ids, MESSAGE | {"metadata": metadata})
            return made, ids | {"message_id": made["id"]}
        case "modifyRun":
            thread = thread_with(client)
            run = client.beta.threads.runs.create_and_poll(
                thread_id=thread, assistant_id=ids["assistant_id"], metadata=metadata
            )
            return run.to_dict(), {"thread_id": thread, "run_id": run.id}
        case _:
            expiry = {"anchor": "last_active_at", "days": 1}
            body = {"name": "S", "description": "D", "metadata": metadata, "expires_after": expiry}
            made = post(client, "createVectorStore", ids, body)
            return made, {"vector_store_id": made["id"]}


@pytest.mark.parametrize(("operation", "field"), [*_optional(MODIFIED)])
def test_null_keeps_what_is_there(client: OpenAI, ids: Ids, operation: str, field: str) -> None:
    full, at = _full(client, operation, ids)
    if (operation, field) == ("modifyVectorStore", "expires_after"):
        # The one null that says something: it takes the expiry away.
        expected = full | {"expires_after": None, "expires_at": None}
    else:
        expected = full
    assert post(client, operation, at, {field: None}) == expected


@pytest.mark.parametrize("operation", MODIFIED)
def test_metadata_is_replaced_as_a_whole(client: OpenAI, ids: Ids, operation: str) -> None:
    full, at = _full(client, operation, ids)
    assert full["metadata"] == {"a": "1", "b": "2"}
    assert post(client, operation, at, {"metadata": {"b": "3", "c": ""}}) == full | {"metadata": {"b": "3", "c": ""}}
    assert post(client, operation, at, {"metadata": None})["metadata"] == {"b": "3", "c": ""}
    assert post(client, operation, at, {})["metadata"] == {"b": "3", "c": ""}
    assert post(client, operation, at, {"metadata": {}}) == full | {"metadata": {}}


@pytest.mark.parametrize("operation", ["modifyAssistant", "modifyThread"])
def test_tool_resources_are_merged_per_tool(client: OpenAI, ids: Ids, operation: str) -> None:
    full, at = _full(client, operation, ids)
    code, search = full["tool_resources"]["code_interpreter"], full["tool_resources"]["file_search"]
    other_file, other_store = upload(client, "b.txt", LOOMS).id, client.vector_stores.create(name="T").id

    def modified(**resources: JSON | None) -> Any:
        return post(client, operation, at, {"tool_resources": resources})["tool_resources"]

    assert modified() == {"code_interpreter": code, "file_search": search}
    assert modified(code_interpreter=None, file_search=None) == {"code_interpreter": code, "file_search": search}
    code = {"file_ids": [other_file]}
    assert modified(code_interpreter=code) == {"code_interpreter": code, "file_search": search}
    search = {"vector_store_ids": [other_store]}
    assert modified(file_search=search) == {"code_interpreter": code, "file_search": search}
    assert modified(code_interpreter={"file_ids": []}) == {"code_interpreter": {"file_ids": []}, "file_search": search}
    emptied = modified(file_search={"vector_store_ids": []})
    assert emptied == {"code_interpreter": {"file_ids": []}, "file_search": {"vector_store_ids": []}}


def test_tool_outputs_that_say_nothing(client: OpenAI, upstream: ScriptedUpstream) -> None:
    model = upstream.script(Reply(calls=[("f", {}), ("g", {})]), Reply("Done."))
    assistant = assistant_with(client, model, [function("f"), function("g")])
    run = client.beta.threads.runs.create_and_poll(thread_id=thread_with(client), assistant_id=assistant)
    assert run.required_action is not None
    first, second = (call.id for call in run.required_action.submit_tool_outputs.tool_calls)
    outputs = [{"tool_call_id": first, "output": None}, {"tool_call_id": second}]
    at = {"thread_id": run.thread_id, "run_id": run.id}
    assert post(client, "submitToolOuputsToRun", at, {"tool_outputs": outputs, "stream": None})["status"] == "queued"
    assert client.beta.threads.runs.poll(run.id, thread_id=run.thread_id).status == "completed"
    assert [message["content"] for message in upstream.requests[model][1]["messages"][-2:]] == ["", ""]


MAY_BE_EMPTY = ["createThread", "createVectorStore", *MODIFIED]


@pytest.mark.parametrize("operation", MAY_BE_EMPTY)
@pytest.mark.parametrize(
    "how",
    [
        {},
        {"headers": {"content-type": "application/json"}},
        {"content": b"", "headers": {"content-type": "application/json", "content-length": "0"}},
        {"json": {}},
        {"content": b"null", "headers": {"content-type": "application/json"}},
    ],
    ids=["nothing", "a content type", "length 0", "{}", "null"],
)
def test_an_empty_body(server: ServerProcess, ids: Ids, operation: str, how: dict[str, Any]) -> None:
    answer = httpx.post(server.url + PATHS[operation].format(**ids), **how)
    assert answer.status_code == 200, answer.text


def test_what_the_client_sends_without_a_body(client: OpenAI, server: ServerProcess, ids: Ids) -> None:
    """`content-type: application/json`, length 0."""
    at = f"{server.url}/threads/{ids['thread_id']}/runs/{ids['run_id']}/cancel"
    refused = httpx.post(at, headers={"content-type": "application/json"})
    assert refused.json()["error"]["message"] == "Cannot cancel run with status 'completed'."
    at = f"{server.url}/vector_stores/{ids['vector_store_id']}/file_batches/{ids['batch_id']}/cancel"
    assert httpx.post(at, headers={"content-type": "application/json"}).json()["status"] == "completed"
    assert httpx.post(at).status_code == 200


def test_static_chunking_is_echoed(client: OpenAI, ids: Ids) -> None:
    file = upload(client, "c.txt", LOOMS).id
    body = {"file_id": file, "chunking_strategy": STATIC}
    assert post(client, "createVectorStoreFile", ids, body)["chunking_strategy"] == STATIC
