"""Bad requests: always the API's error body, never a 422, a 500 or a traceback."""

from typing import Any

import httpx
import pytest
from openai import OpenAI

from tests.server_process import ServerProcess


def _error(server: ServerProcess, method: str, path: str, **request: Any) -> tuple[int, dict[str, Any]]:
    answer = httpx.request(method, server.url + path, **request)
    assert answer.headers["x-request-id"].startswith("req_")
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return answer.status_code, error


@pytest.mark.parametrize(
    ("path", "body", "message", "param", "code"),
    [
        ("/assistants", {}, "Missing required parameter: 'model'.", "model", "missing_required_parameter"),
        (
            "/assistants",
            {"model": 5},
            "Invalid type for 'model': expected a string, but got an integer instead.",
            "model",
            "invalid_type",
        ),
        ("/assistants", {"model": "m", "x": 1}, "Unknown parameter: 'x'.", "x", "unknown_parameter"),
        (
            "/assistants",
            {"model": "m", "metadata": {"modified": True}},
            "Invalid type for 'metadata.modified': expected a string, but got a boolean instead.",
            "metadata.modified",
            "invalid_type",
        ),
        (
            "/assistants",
            {"model": "m", "description": "d" * 600},
            "Invalid 'description': string too long. Expected a string with maximum length 512, "  # noqa: ISC004
            "but got a string with length 600 instead.",
            "description",
            "string_above_max_length",
        ),
        (
            "/assistants",
            {"model": "m", "metadata": {str(key): "" for key in range(17)}},
            "Invalid 'metadata': too many properties. Expected an object with at most 16 properties, "  # noqa: ISC004
            "but got an object with 17 properties instead.",
            "metadata",
            "object_above_max_properties",
        ),
        (
            "/assistants",
            {"model": "m", "temperature": 3},
            "Invalid 'temperature': decimal above maximum value. Expected a value <= 2, but got 3 instead.",
            "temperature",
            "decimal_above_max_value",
        ),
        (
            "/assistants",
            {"model": "m", "tools": [{"type": "function", "function": {}}]},
            "Missing required parameter: 'tools[0].function.name'.",
            "tools[0].function.name",
            "missing_required_parameter",
        ),
        (
            "/assistants",
            {"model": "m", "tools": [{"type": "retrieval"}]},
            "Invalid value: 'retrieval'. Supported values are: 'code_interpreter', 'file_search', and 'function'.",
            "tools[0].type",
            "invalid_value",
        ),
        (
            "/threads",
            {"messages": [{"role": "system", "content": "x"}]},
            "Invalid value: 'system'. Supported values are: 'user' and 'assistant'.",
            "messages[0].role",
            "invalid_value",
        ),
        (
            "/threads",
            {"messages": [{"role": 5, "content": "x"}]},
            "Invalid type for 'messages[0].role': expected one of 'user' or 'assistant', but got an integer instead.",
            "messages[0].role",
            "invalid_type",
        ),
        (
            "/threads",
            {"messages": [{"role": "user", "content": 5}]},
            "Invalid type for 'messages[0].content': expected one of a string or array of objects, "  # noqa: ISC004
            "but got an integer instead.",
            "messages[0].content",
            "invalid_type",
        ),
        (
            "/assistants",
            {"model": "m", "response_format": {"type": {}}},
            "Invalid type for 'response_format.type': expected one of 'text', 'json_object', or 'json_schema', "  # noqa: ISC004
            "but got an object instead.",
            "response_format.type",
            "invalid_type",
        ),
        (
            "/threads",
            {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
            "Missing required parameter: 'messages[0].content[0].text'.",
            "messages[0].content[0].text",
            "missing_required_parameter",
        ),
        (
            "/threads",
            {"messages": [{"role": "user", "content": "x", "attachments": [{"file_id": "file-1"}]}]},
            "Missing required parameter: 'messages[0].attachments[0].tools'.",
            "messages[0].attachments[0].tools",
            "missing_required_parameter",
        ),
        (
            "/threads/runs",
            {"assistant_id": "asst_1", "truncation_strategy": {"type": "last_messages"}},
            "Missing required parameter: 'truncation_strategy.last_messages'.",
            "truncation_strategy.last_messages",
            "missing_required_parameter",
        ),
    ],
)
def test_bodies(server: ServerProcess, path: str, body: object, message: str, param: str, code: str) -> None:
    status, error = _error(server, "POST", path, json=body)
    assert (status, error["message"]) == (400, message)
    assert (error["type"], error["param"], error["code"]) == ("invalid_request_error", param, code)


def test_a_body_of_very_many_values(server: ServerProcess) -> None:
    status, error = _error(server, "POST", "/threads", json={"messages": [{}] * 100_000})
    assert (status, error["message"]) == (400, "The JSON body has more than 100000 values.")


def test_what_a_client_sent_is_repeated_in_part(server: ServerProcess) -> None:
    outputs = [{"tool_call_id": "x" * 1000, "output": ""}] * 1000
    thread = httpx.post(f"{server.url}/threads").json()["id"]
    body = {
        "assistant_id": httpx.post(f"{server.url}/assistants", json={"model": "m", "instructions": "Hi"}).json()["id"]
    }
    run = httpx.post(f"{server.url}/threads/{thread}/runs", json=body).json()["id"]
    path = f"/threads/{thread}/runs/{run}/submit_tool_outputs"
    status, error = _error(server, "POST", path, json={"tool_outputs": outputs})
    assert status == 400
    assert len(error["message"]) < 10_000


def test_broken_json(server: ServerProcess) -> None:
    for content in (b'{"model": ', b"\xff\xfe", b"[" * 100_000, b'"just text"', b'{"model": "\\ud800"}'):
        status, error = _error(
            server, "POST", "/assistants", content=content, headers={"content-type": "application/json"}
        )
        assert (status, error["type"]) == (400, "invalid_request_error"), content[:20]


def test_lone_surrogates_inside_free_json(server: ServerProcess) -> None:
    content = b'{"model":"m","tools":[{"type":"function","function":{"name":"f","parameters":{"a":"\\ud800"}}}]}'
    status, _ = _error(server, "POST", "/assistants", content=content, headers={"content-type": "application/json"})
    assert status == 400


def test_numbers_and_nesting_beyond_what_can_be_stored(server: ServerProcess, client: OpenAI) -> None:
    deep = b'{"model":"m","tools":[{"type":"function","function":{"name":"f","parameters":' + b'{"a":' * 300 + b"1"
    deep += b"}" * 300 + b"}}]}"
    status, error = _error(server, "POST", "/assistants", content=deep, headers={"content-type": "application/json"})
    assert (status, error["code"]) == (400, "invalid_json")
    assistant = client.beta.assistants.create(model="m", instructions="Help.").id
    body = {"assistant_id": assistant, "max_prompt_tokens": 2**63}
    status, error = _error(server, "POST", "/threads/runs", json=body)
    assert (status, error["code"]) == (400, "integer_above_max_value")


def test_malformed_headers(server: ServerProcess) -> None:
    for headers in ({"host": "[::1"}, {"host": "evil@localhost"}, {"origin": "http://["}):
        assert _error(server, "GET", "/assistants", headers=headers)[0] == 403


def test_query_limits(server: ServerProcess) -> None:
    status, error = _error(server, "GET", "/assistants?limit=101")
    assert (status, error["code"]) == (400, "integer_above_max_value")
    assert (
        error["message"]
        == "Invalid 'limit': integer above maximum value. Expected a value <= 100, but got 101 instead."
    )
    assert _error(server, "GET", "/assistants?limit=x")[1]["code"] == "invalid_type"
    assert _error(server, "GET", "/assistants?order=up")[1]["code"] == "invalid_value"
    assert _error(server, "GET", "/assistants?after=asst_none")[0] == 404


def test_unknown_urls(server: ServerProcess) -> None:
    assert _error(server, "GET", "/nothing")[0] == 404
    assert _error(server, "PUT", "/assistants")[0] == 404
    assert _error(server, "GET", "/assistants/")[0] == 404


def test_unknown_ids(server: ServerProcess, client: OpenAI) -> None:
    thread = client.beta.threads.create().id
    for path, message in {
        "/assistants/asst_x": "No assistant found with id 'asst_x'.",
        "/threads/thread_x": "No thread found with id 'thread_x'.",
        "/threads/thread_x/messages": "No thread found with id 'thread_x'.",
        f"/threads/{thread}/messages/msg_x": "No message found with id 'msg_x'.",
        f"/threads/{thread}/runs/run_x": "No run found with id 'run_x'.",
        f"/threads/{thread}/runs/run_x/steps": "No run found with id 'run_x'.",
        f"/threads/{thread}/runs/run_x/steps/step_x": "No run found with id 'run_x'.",
        "/files/file-x": "No such File object: file-x",
        "/vector_stores/vs_x": "No vector store found with id 'vs_x'.",
        "/vector_stores/vs_x/files": "No vector store found with id 'vs_x'.",
        "/vector_stores/vs_x/file_batches/vsfb_x": "No vector store found with id 'vs_x'.",
    }.items():
        status, error = _error(server, "GET", path)
        assert (status, error["message"], error["code"]) == (404, message, None)
    status, error = _error(server, "POST", f"/threads/{thread}/runs", json={"assistant_id": "asst_x"})
    assert (status, error["message"]) == (404, "No assistant found with id 'asst_x'.")


def test_the_log_has_no_traceback(server: ServerProcess) -> None:
    assert "Traceback" not in server.log()
