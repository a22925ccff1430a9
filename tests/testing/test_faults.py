"""Faults on purpose: the official client retries and recovers, or raises the class that it raises of the hosted API."""

import time
from collections.abc import Callable

import openai
import pytest
from openai import OpenAI

from tests.server_process import ServerProcess
from tests.testing.conftest import Space


def test_the_client_retries_and_recovers(testing_server: ServerProcess, space: Space) -> None:
    patient = Space(testing_server, space.key, retries=2)
    for fault in ({"status": 429, "retry_after": 0.01}, {"status": 500}, {"status": 503}, {"drop": True}):
        space.fault(match="POST /v1/threads", times=2, **fault)
        assert patient.client.beta.threads.create().id
    struck = [one["struck"] for one in space.control("GET", "/faults")["data"]]
    assert struck == [2, 2, 2, 2]
    patient.close()


@pytest.mark.parametrize(
    ("fault", "raised"),
    [
        ({"status": 400}, openai.BadRequestError),
        ({"status": 401}, openai.AuthenticationError),
        ({"status": 403}, openai.PermissionDeniedError),
        ({"status": 404}, openai.NotFoundError),
        ({"status": 409}, openai.ConflictError),
        ({"status": 422}, openai.UnprocessableEntityError),
        ({"status": 429}, openai.RateLimitError),
        ({"status": 500}, openai.InternalServerError),
        ({"drop": True}, openai.APIConnectionError),
        ({"drop": "after"}, openai.APIConnectionError),
        ({"cut": 0}, openai.APIConnectionError),
        ({"stall": 0}, openai.APITimeoutError),
        ({"delay": 2}, openai.APITimeoutError),
    ],
    ids=str,
)
def test_the_clients_exception(space: Space, fault: dict[str, object], raised: type[openai.APIError]) -> None:
    space.fault(match="GET /v1/assistants", **fault)
    # A busy machine may take half a second over the others.
    client = space.client.with_options(timeout=0.5 if raised is openai.APITimeoutError else 10)
    with pytest.raises(raised) as caught:
        client.beta.assistants.list()
    assert type(caught.value) is raised
    if isinstance(caught.value, openai.APIStatusError):
        assert caught.value.body == {
            "message": "This error was asked for by a test.",
            "type": caught.value.type,
            "param": None,
            "code": caught.value.code,
        }
    assert client.with_options(timeout=10).beta.assistants.list().data == []


def test_what_was_dropped_after_is_done(space: Space) -> None:
    space.fault(match="POST /v1/assistants", drop="after")
    with pytest.raises(openai.APIConnectionError):
        space.assistant()
    assert len(space.client.beta.assistants.list().data) == 1
    space.fault(match="POST /v1/assistants", drop="before")
    with pytest.raises(openai.APIConnectionError):
        space.assistant()
    assert len(space.client.beta.assistants.list().data) == 1


def events_of(space: Space, client: OpenAI) -> list[str]:
    """The events of a streamed run, as far as they come."""
    events: list[str] = []
    stream = client.beta.threads.create_and_run(
        assistant_id=space.assistant().id, thread={"messages": [{"role": "user", "content": "hello"}]}, stream=True
    )
    try:
        events.extend(event.event for event in stream)
    except openai.APIConnectionError as error:
        events.append(type(error).__name__)
    return events


@pytest.mark.parametrize(("fault", "error"), [("cut", "APIConnectionError"), ("stall", "APITimeoutError")])
def test_a_stream_that_breaks_off(space: Space, fault: str, error: str) -> None:
    whole = events_of(space, space.client)
    space.fault(match="POST /v1/threads/runs", **{fault: 4})
    assert events_of(space, space.client.with_options(timeout=1)) == [*whole[:4], error]
    runs = space.control("GET", "/runs")["data"]
    deadline = time.monotonic() + 10
    while runs[-1]["status"] != "completed" and time.monotonic() < deadline:
        runs = space.control("GET", "/runs")["data"]
    assert [run["status"] for run in runs] == ["completed"] * 2
    assert events_of(space, space.client) == whole


def test_a_run_that_fails(space: Space) -> None:
    for code in ("rate_limit_exceeded", "server_error", "invalid_prompt"):
        space.fault(fail_run=code, message="Out of luck.")
        run = space.run()
        while run.status in ("queued", "in_progress"):
            run = space.again(run)
        assert run.status == "failed"
        assert run.last_error is not None
        assert (run.last_error.code, run.last_error.message) == (code, "Out of luck.")


MATCHES: dict[str, Callable[[OpenAI], object]] = {
    "POST /v1/threads/*/messages": lambda c: c.beta.threads.messages.create("thread_1", role="user", content="x"),
    "/v1/threads/**": lambda c: c.beta.threads.messages.list("thread_1"),
    "GET /v1/**": lambda c: c.files.list(),
    "DELETE /v1/files/file-*": lambda c: c.files.delete("file-1"),
}


@pytest.mark.parametrize("match", MATCHES)
def test_patterns(space: Space, match: str) -> None:
    space.fault(match=match, status=418, times=None)
    with pytest.raises(openai.APIStatusError) as caught:
        MATCHES[match](space.client)
    assert caught.value.status_code == 418
    assert space.client.beta.threads.create().id


def test_some_requests_pass_first(space: Space) -> None:
    space.fault(match="POST /v1/threads", status=500, skip=2, times=1)
    space.client.beta.threads.create()
    space.client.beta.threads.create()
    with pytest.raises(openai.InternalServerError):
        space.client.beta.threads.create()
    space.client.beta.threads.create()


@pytest.mark.parametrize(
    "fault",
    [{}, {"match": "**"}, {"match": "**", "status": 200}, {"match": "**", "status": 500, "drop": True}, {"what": 1}],
    ids=str,
)
def test_a_fault_that_makes_no_sense_is_refused(space: Space, fault: dict[str, object]) -> None:
    refused = space.http.post("/faults", json=fault)
    assert refused.status_code == 400
    assert refused.json()["error"]["message"]


def test_the_journal_tells_what_came(space: Space) -> None:
    space.fault(match="POST /v1/threads", status=500)
    with pytest.raises(openai.InternalServerError):
        space.client.beta.threads.create(metadata={"a": "b"})
    run = space.run("What is it?")
    while run.status in ("queued", "in_progress"):
        run = space.again(run)
    first = space.control("GET", "/requests")["data"][0]
    assert (first["method"], first["path"], first["status"]) == ("POST", "/v1/threads", 500)
    assert (first["body"], first["fault"]) == ({"metadata": {"a": "b"}}, {"match": "POST /v1/threads", "status": 500})
    [call] = space.control("GET", "/model_calls")["data"]
    assert (call["run_id"], call["model"], call["error"]) == (run.id, "gpt-4o", None)
    assert call["messages"][-1] == {"role": "user", "content": "What is it?"}
    assert call["answer"].startswith("[offline stand-in")
