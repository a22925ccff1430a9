"""GET /openapi.json: every operation, truly described; and the script that compares it with another document."""

import json
import os
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import httpx
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator, validate

from tests.contract.compare_openapi import Comparison, differences
from tests.server_process import ServerProcess

JSON = dict[str, Any]

OPERATIONS = {
    *("listAssistants", "createAssistant", "getAssistant", "modifyAssistant", "deleteAssistant"),
    *("createThread", "getThread", "modifyThread", "deleteThread", "createThreadAndRun"),
    *("listMessages", "createMessage", "getMessage", "modifyMessage", "deleteMessage"),
    *("listRuns", "createRun", "getRun", "modifyRun", "cancelRun", "submitToolOuputsToRun"),
    *("listRunSteps", "getRunStep"),
    *("listFiles", "createFile", "retrieveFile", "deleteFile", "downloadFile"),
    *("createUpload", "addUploadPart", "completeUpload", "cancelUpload"),
    *("listVectorStores", "createVectorStore", "getVectorStore", "modifyVectorStore", "deleteVectorStore"),
    *("searchVectorStore", "listVectorStoreFiles", "createVectorStoreFile", "getVectorStoreFile"),
    *("updateVectorStoreFileAttributes", "deleteVectorStoreFile", "retrieveVectorStoreFileContent"),
    *("createVectorStoreFileBatch", "getVectorStoreFileBatch", "cancelVectorStoreFileBatch"),
    *("listFilesInVectorStoreBatch", "listModels", "retrieveModel", "deleteModel"),
}
OURS = {"health"}
SCHEMAS = ("components", "schemas")
STREAMED = {"createRun", "createThreadAndRun", "submitToolOuputsToRun"}
# What a client gave is free where JSON Schemas are: functions' parameters, formats of answers.
FREE = {"FunctionEcho.parameters", "JSONSchemaEcho.schema"}


@pytest.fixture(scope="module")
def document(offline_server: ServerProcess) -> JSON:
    """The document, as it is served."""
    answer = httpx.get(f"{offline_server.root}/openapi.json")
    assert answer.status_code == 200
    served: JSON = answer.json()
    return served


def operations(document: JSON) -> Iterator[tuple[str, JSON]]:
    """Each operation with its path."""
    for path, item in document["paths"].items():
        yield from ((path, operation) for operation in item.values())


def test_all_operations_are_there(document: JSON) -> None:
    assert len(OPERATIONS) == 51
    ids = [operation["operationId"] for _, operation in operations(document)]
    assert sorted(ids) == sorted(OPERATIONS | OURS)


def test_it_is_valid(document: JSON) -> None:
    assert document["openapi"].startswith("3.1.")
    validate(document, cls=OpenAPIV31SpecValidator)


def test_every_operation_says_what_it_answers(document: JSON) -> None:
    for path, operation in operations(document):
        name, responses = operation["operationId"], operation["responses"]
        assert "422" not in responses, name
        for content in responses["200"]["content"].values():
            assert content["schema"], name
        if name in OURS:
            continue
        for status in ("401", "403", "5XX"):
            assert status in responses, (name, status)
        assert ("400" in responses) == (name != "listModels"), name
        assert ("404" in responses) == (name not in ("createFile", "createUpload", "listModels")), name
        assert path.startswith("/v1/")
        for status in set(responses) - {"200"}:
            schema = responses[status]["content"]["application/json"]["schema"]
            assert schema == {"$ref": "#/components/schemas/ErrorBody"}, (name, status)
    assert not {"HTTPValidationError", "ValidationError"} & set(document["components"]["schemas"])


def test_streams_are_described(document: JSON) -> None:
    streamed = {
        operation["operationId"]: operation["responses"]["200"]["content"]["text/event-stream"]["schema"]
        for _, operation in operations(document)
        if "text/event-stream" in operation["responses"]["200"]["content"]
    }
    assert streamed == {name: {"$ref": "#/components/schemas/StreamEvent"} for name in STREAMED}


def test_no_answer_is_opaque(document: JSON) -> None:
    opaque = {
        place
        for _, operation in operations(document)
        for content in operation["responses"]["200"]["content"].values()
        for place in _opaque(content["schema"], document, operation["operationId"], set())
    }
    assert opaque == FREE


def _opaque(schema: JSON, document: JSON, place: str, seen: set[str]) -> Iterator[str]:
    """Where an answer may hold anything."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        if name not in seen:
            yield from _opaque(document["components"]["schemas"][name], document, name, seen | {name})
        return
    if schema.get("additionalProperties") is True or not {"type", "anyOf", "oneOf", "const", "enum"} & {*schema}:
        yield place
    for name, field in schema.get("properties", {}).items():
        yield from _opaque(field, document, f"{place}.{name}", seen)
    for part in (*schema.get("anyOf", ()), *schema.get("oneOf", ()), *filter(None, [schema.get("items")])):
        yield from _opaque(part, document, place, seen)


def test_the_script_finds_nothing_in_the_same_document(document: JSON) -> None:
    assert Comparison(_as_given(document), document).compare() == set()


@pytest.mark.parametrize(
    ("path", "finding"),
    [
        (("paths", "/v1/threads/{thread_id}", "get"), "GET /threads/{thread_id}: missing"),
        (("paths", "/v1/threads/{thread_id}", "get", "operationId"), "getThread: the operationId is other"),
        (("paths", "/v1/threads/{thread_id}/runs", "post", "parameters", 1), "createRun?include[]: missing"),
        (("paths", "/v1/assistants", "get", "parameters", 0, "schema", "default"), "listAssistants?limit: default"),
        ((*SCHEMAS, "AssistantCreate", "properties", "tools"), "AssistantCreate.tools: missing"),
        (
            (*SCHEMAS, "AssistantCreate", "properties", "name", "anyOf", 0, "maxLength"),
            "AssistantCreate.name: maxLength",
        ),
        (
            (*SCHEMAS, "FileSearch", "properties", "max_num_results", "anyOf", 0),
            "FileSearch.max_num_results: no integer",
        ),
        ((*SCHEMAS, "RunError", "properties", "message"), "RunError.message: missing"),
        ((*SCHEMAS, "RunError", "properties", "code", "enum", 1), "RunError.code: no 'rate_limit_exceeded'"),
        ((*SCHEMAS, "CodeLogsDelta", "properties", "logs"), "CodeLogsDelta.logs: missing"),
        ((*SCHEMAS, "RunEvent", "properties", "event", "enum", 3), "RunEvent.event: no 'thread.run.requires_action'"),
    ],
)
def test_the_script_finds_what_is_missing(document: JSON, path: tuple[str | int, ...], finding: str) -> None:
    poorer = deepcopy(document)
    *way, last = path
    place: Any = poorer
    for key in way:
        place = place[key]
    if last == "operationId":
        place[last] = "other"
    else:
        del place[last]
    found = Comparison(_as_given(document), poorer).compare()
    assert any(one.startswith(finding) for one in found), found


def _as_given(document: JSON) -> JSON:
    """Our document as others publish it: no /v1 in its paths, another name for the events."""
    paths = {path.removeprefix("/v1"): item for path, item in document["paths"].items() if path.startswith("/v1")}
    schemas = document["components"]["schemas"]
    return {
        "paths": paths,
        "components": {"schemas": schemas | {"AssistantStreamEvent": schemas["StreamEvent"]}},
    }


if SPEC := os.environ.get("UNDERSTUDY_SPEC"):

    def test_the_given_document_has_no_more(document: JSON) -> None:
        assert SPEC
        assert differences(json.loads(Path(SPEC).read_text()), document) == (set(), set())
