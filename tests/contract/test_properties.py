"""2,000 requests drawn from our own document, allowed and broken ones, and what holds for every answer.

No 5xx; status, content type and body as documented; what the document forbids is refused, and nothing that it allows is
called ill-formed. What is drawn is the same in every run, but for the ids of the objects that it names.
"""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import orjson
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from jsonschema import Draft202012Validator

from tests.contract.compare_openapi import our_document
from tests.contract.drawn_requests import NOTHING, Drawing, DrawnRequest, Id
from tests.contract.existing_objects import ExistingObjects
from tests.server_process import ServerProcess

JSON = dict[str, Any]

_DOCUMENT = our_document()
_OPERATIONS = {
    operation["operationId"]: (method, path, operation)
    for path, item in _DOCUMENT["paths"].items()
    for method, operation in item.items()
    if path.startswith("/v1/")
}
_NEVER_DONE = ("deleteModel",)
_ILL_FORMED = ("invalid_type", "unknown_parameter", "string_", "array_", "object_", "integer_", "decimal_")
_SETTINGS = settings(
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate, Phase.shrink],
)
# Fields whose bounds lie in another field, which no schema can say.
_BOUND_BY_ANOTHER = ("chunk_overlap_tokens", "filters.value", "].value")
_LISTED = {
    "listAssistants": "assistant",
    "listMessages": "message",
    "listRuns": "run",
    "listRunSteps": "step",
    "listFiles": "file",
    "listVectorStores": "vector_store",
    "listVectorStoreFiles": "member",
    "listFilesInVectorStoreBatch": "member",
}
_OF_RUNS = ("listRuns", "listMessages")
_OF_WAITING_RUNS = ("cancelRun", "submitToolOuputsToRun")
_MEMBER = "/v1/vector_stores/{vector_store_id}/files/"
_NEW = {"createAssistant": "assistant", "createVectorStore": "vector_store", "createFile": "file"}
_ENDS = {
    "deleteAssistant": ("assistant",),
    "deleteThread": ("thread",),
    "deleteMessage": ("message",),
    "createRun": ("thread",),
    "cancelRun": ("waiting run",),
    "submitToolOuputsToRun": ("waiting run",),
    "deleteFile": ("file", "download"),
    "deleteVectorStore": ("vector_store", "assistant"),
    "deleteVectorStoreFile": ("batch", "member"),
    "completeUpload": ("upload",),
    "cancelUpload": ("upload",),
    "addUploadPart": ("upload",),
}


def _closed(schema: Any) -> Any:
    """The schema without fields that it does not name."""
    if isinstance(schema, list):
        return [_closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: _closed(one) for name, one in schema.items()}
    if isinstance(schema.get("properties"), dict) and "type" in schema:
        closed.setdefault("additionalProperties", False)
    return closed


_CLOSED = {"schemas": {name: _closed(schema) for name, schema in _DOCUMENT["components"]["schemas"].items()}}


_validators: dict[tuple[int, bool], Draft202012Validator] = {}


def _misfit(value: Any, schema: JSON, *, closed: bool) -> str:
    """What of a value is not as a schema of the document says; `closed` allows no fields that it does not name."""
    # Kept: making one takes longer than using it.
    key = id(schema), closed
    if key not in _validators:
        components = _CLOSED if closed else _DOCUMENT["components"]
        _validators[key] = Draft202012Validator(schema | {"components": components})
    return "\n".join(f"{error.json_path}: {error.message[:300]}" for error in _validators[key].iter_errors(value))


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExistingObjects]:
    """The objects of a server of its own, with the offline model."""
    process = ServerProcess(tmp_path_factory.mktemp("properties") / "data")
    with httpx.Client(base_url=process.url, timeout=60) as http:
        yield ExistingObjects(http)
    assert process.stop() == 0, process.log()
    assert "Traceback" not in process.log(), process.log()


@pytest.mark.parametrize("name", _OPERATIONS)
def test_operation(name: str, objects: ExistingObjects) -> None:
    operation = _OPERATIONS[name][2]
    examples = _examples(operation)
    statuses: Counter[int] = Counter()

    @settings(_SETTINGS, max_examples=examples)
    @given(Drawing(_DOCUMENT).requests(operation))
    def holds(drawn: DrawnRequest) -> None:
        query = [(key, _known(value, name, objects)) for key, value in drawn.query]
        body = _known(drawn.body, name, objects)
        answer = _send(name, drawn, query, body, objects)
        statuses[answer.status_code] += 1
        _check_answer(answer, operation)
        if answer.status_code == 200:
            for kind in _ENDS.get(name, ()):
                objects.forget(kind)
        if name not in _NEVER_DONE and not drawn.form:
            _check_verdict(answer, _forbidden(operation, query, body))

    holds()
    assert statuses.total() >= examples
    assert statuses[200] >= (0 if name in _NEVER_DONE else examples // 8), statuses


def test_there_are_2000_of_them() -> None:
    assert sum(_examples(operation) for _, _, operation in _OPERATIONS.values()) >= 2000


def _examples(operation: JSON) -> int:
    """How many requests are drawn: there is more to vary in a body than in an id."""
    if "requestBody" in operation:
        return 70
    return 40 if any(one["in"] == "query" for one in operation.get("parameters", [])) else 12


def _known(value: Any, name: str, objects: ExistingObjects) -> Any:
    """The value with real ids."""
    if isinstance(value, Id):
        return objects[_kind(value.kind, name)]
    if isinstance(value, dict):
        return {key: _known(one, name, objects) for key, one in value.items()}
    return [_known(one, name, objects) for one in value] if isinstance(value, list) else value


def _kind(kind: str, name: str) -> str:
    """Which of the existing objects is meant in a request for this operation."""
    path = _OPERATIONS[name][1]
    kind = _LISTED[name] if kind == "listed" else kind
    if kind == "new":
        return f"new {_NEW.get(name, 'thread')}"
    if kind in ("thread", "run", "step") and ("{run_id}" in path or name in _OF_RUNS):
        return f"{'waiting' if name in _OF_WAITING_RUNS else 'finished'} {kind}"
    return "member" if kind in ("file", "download") and path.startswith(_MEMBER) else kind


def _send(name: str, drawn: DrawnRequest, query: Any, body: Any, objects: ExistingObjects) -> httpx.Response:
    method, path, _ = _OPERATIONS[name]
    for parameter, value in drawn.path.items():
        path = path.replace(f"{{{parameter}}}", quote(str(_known(value, name, objects)), safe=""))
    content: JSON = {}
    if isinstance(body, bytes):
        content = {"content": body, "headers": {"content-type": "application/json"}}
    elif drawn.form and isinstance(body, dict):
        content = _form(body)
    elif body is not NOTHING:
        content = {"content": orjson.dumps(body), "headers": {"content-type": "application/json"}}
    headers = drawn.headers | content.pop("headers", {})
    return objects.http.request(method, path.removeprefix("/v1"), params=query, headers=headers, **content)


def _form(body: JSON) -> JSON:
    """The fields of a form, objects as the clients write them; all parts have names, so that they are multipart."""
    parts: list[tuple[str, Any]] = []
    for field, value in body.items():
        inner = {f"{field}[{key}]": one for key, one in value.items()} if isinstance(value, dict) else {field: value}
        for key, one in inner.items():
            parts.append((key, ("a.txt", one) if isinstance(one, bytes) else (None, str(one))))
    return {"files": parts or [("nothing", (None, ""))]}


def _check_answer(answer: httpx.Response, operation: JSON) -> None:
    """The answer is one that the document describes, and no fault of the server."""
    status = str(answer.status_code)
    assert answer.status_code < 500, answer.text
    assert status in operation["responses"], (status, answer.text)
    content = operation["responses"][status]["content"]
    media_type = answer.headers["content-type"].partition(";")[0]
    assert media_type in content, (media_type, answer.text)
    assert answer.headers["x-request-id"].startswith("req_")
    schema = content[media_type]["schema"]
    if media_type == "application/json":
        assert not (wrong := _misfit(answer.json(), schema, closed=True)), (wrong, answer.text)
    if media_type == "text/event-stream":
        _check_events(answer.text, schema)
    if answer.status_code >= 400:
        assert answer.json()["error"]["type"] == "invalid_request_error"
        assert answer.json()["error"]["message"]


def _check_events(text: str, schema: JSON) -> None:
    blocks = [block.partition("\n") for block in text.split("\n\n") if block and not block.startswith(":")]
    for first, _, second in blocks:
        name, payload = first.removeprefix("event: "), second.removeprefix("data: ")
        event = {"event": name, "data": payload if name == "done" else orjson.loads(payload)}
        assert not (wrong := _misfit(event, schema, closed=True)), (wrong, event)
    assert blocks[-1][0] == "event: done"


def _forbidden(operation: JSON, query: list[tuple[str, Any]], body: Any) -> str:
    """What of a request is not as the document says."""
    wrong = ""
    for parameter in operation.get("parameters", []):
        given = [value for key, value in query if key == parameter["name"]]
        if given and parameter["in"] == "query":
            value = given if parameter["name"].endswith("[]") else _read(given[-1], parameter["schema"])
            wrong += _misfit(value, parameter["schema"], closed=False)
    if "requestBody" not in operation:
        return wrong
    if body is NOTHING:
        return wrong + ("no body" if operation["requestBody"].get("required") else "")
    if isinstance(body, bytes):
        try:
            body = orjson.loads(body)
        except orjson.JSONDecodeError:
            return wrong + "no JSON"
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    return wrong + _misfit(body, schema, closed=False)


def _read(value: Any, schema: JSON) -> Any:
    """What a parameter's text stands for."""
    text = str(value)
    return int(text) if schema.get("type") == "integer" and re.fullmatch(r"-?\d+", text) else text


def _check_verdict(answer: httpx.Response, forbidden: str) -> None:
    """What the document forbids is refused; what it allows may be refused, but not as ill-formed."""
    if forbidden:
        assert answer.status_code >= 400, (forbidden, answer.text)
    elif answer.status_code == 400:
        error = answer.json()["error"]
        assert str(error["param"]).endswith(_BOUND_BY_ANOTHER) or not str(error["code"]).startswith(_ILL_FORMED), error
