"""The headers that every answer has, errors and streams too, and those that a request need not have."""

from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI

from tests.contract.calls import CALLS, Ids, grown
from tests.runs.streams import assistant_with, thread_with
from tests.scripted_upstream import Reply, ScriptedUpstream
from tests.server_process import ServerProcess

POLLED = ["getRun", "getVectorStoreFile", "getVectorStoreFileBatch"]
"""What the official clients ask for again and again."""


@pytest.fixture(scope="module")
def ids(client: OpenAI, upstream: ScriptedUpstream) -> Ids:
    return grown(client, upstream)


def _path(name: str, ids: Ids) -> str:
    return {
        "list": "/assistants",
        "object": "/threads/{thread_id}",
        "run": "/threads/{thread_id}/runs/{run_id}",
        "unknown id": "/assistants/asst_none",
        "unknown path": "/assistants/asst_1/files",
        "models": "/models",
    }[name].format(**ids)


@pytest.mark.parametrize("name", ["list", "object", "run", "unknown id", "unknown path", "models"])
def test_every_answer(server: ServerProcess, ids: Ids, name: str) -> None:
    answers = [httpx.get(server.url + _path(name, ids)) for _ in range(2)]
    for answer in answers:
        _has_the_headers(answer)
        assert answer.headers["content-type"] == "application/json"
    assert answers[0].headers["x-request-id"] != answers[1].headers["x-request-id"]


def test_bad_requests_and_those_of_strangers(server: ServerProcess) -> None:
    bad = httpx.post(f"{server.url}/assistants", json={})
    stranger = httpx.get(f"{server.url}/assistants", headers={"host": "evil.example"})
    assert (bad.status_code, stranger.status_code) == (400, 403)
    for answer in (bad, stranger):
        _has_the_headers(answer)


def test_streams(client: OpenAI, server: ServerProcess, upstream: ScriptedUpstream) -> None:
    body = {"assistant_id": assistant_with(client, upstream.script(Reply("Hi."))), "stream": True}
    answer = httpx.post(f"{server.url}/threads/{thread_with(client)}/runs", json=body)
    _has_the_headers(answer)
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.text.endswith("event: done\ndata: [DONE]\n\n")


def test_contents(client: OpenAI, server: ServerProcess) -> None:
    file = client.files.create(file=("a.bin", b"\x00\xff"), purpose="batch").id
    answer = httpx.get(f"{server.url}/files/{file}/content", headers={"accept": "application/binary"})
    _has_the_headers(answer)
    assert (answer.content, answer.headers["content-type"]) == (b"\x00\xff", "application/octet-stream")


def _has_the_headers(answer: httpx.Response) -> None:
    assert answer.headers["x-request-id"].startswith("req_")
    assert answer.headers["openai-version"] == "2020-10-01"
    assert answer.headers["openai-processing-ms"].isdecimal()


def test_errors_tell_the_client_their_request(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.beta.assistants.retrieve("asst_none")
    assert caught.value.request_id == caught.value.response.headers["x-request-id"]


@pytest.mark.parametrize("operation", POLLED)
def test_how_soon_to_ask_again(client: OpenAI, ids: Ids, operation: str) -> None:
    at = {name: ids[name] for name in CALLS[operation].ids}
    raw: dict[str, Any] = {
        "getRun": client.beta.threads.runs.with_raw_response.retrieve,
        "getVectorStoreFile": client.vector_stores.files.with_raw_response.retrieve,
        "getVectorStoreFileBatch": client.vector_stores.file_batches.with_raw_response.retrieve,
    }
    assert raw[operation](**at).headers["openai-poll-after-ms"] == "200"


@pytest.mark.parametrize("beta", [None, "assistants=v1", "assistants=v2", ""])
@pytest.mark.parametrize("path", ["/assistants", "/threads", "/vector_stores", "/files"])
def test_the_beta_header_may_be_missing_or_old(server: ServerProcess, ids: Ids, path: str, beta: str | None) -> None:
    headers = {} if beta is None else {"openai-beta": beta}
    if path == "/threads":
        assert httpx.post(server.url + path, headers=headers).status_code == 200
        path += f"/{ids['thread_id']}"
    assert httpx.get(server.url + path, headers=headers).status_code == 200


def test_headers_that_say_nothing_here(client: OpenAI, ids: Ids) -> None:
    known = {"OpenAI-Organization": "org-1", "OpenAI-Project": "proj_1", "X-Stainless-Lang": "cobol"}
    thread = client.with_options(default_headers=known).beta.threads.retrieve(ids["thread_id"])
    assert thread == client.beta.threads.retrieve(ids["thread_id"])


def test_a_body_needs_its_content_type(server: ServerProcess) -> None:
    answer = httpx.post(f"{server.url}/assistants", content=b'{"model": "m"}')
    assert answer.status_code == 400
    message = "Invalid body: expected a JSON object of content type application/json, but got a string."
    expected = {"message": message, "type": "invalid_request_error", "param": None, "code": "invalid_type"}
    assert answer.json()["error"] == expected
