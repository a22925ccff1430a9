"""What is passed on to the upstream, and what is answered where there is none."""

import hashlib
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI

from tests.conftest import official_client
from tests.runs.streams import function
from tests.runs.test_lifecycle import wait_for
from tests.scripted_upstream import Reply, ScriptedUpstream
from tests.server_process import ServerProcess

HI: Any = [{"role": "user", "content": "hi"}]


def test_a_chat_completion(client: OpenAI, upstream: ScriptedUpstream) -> None:
    model = upstream.script(Reply("Hello."), Reply("", calls=[("f", {"a": 1})]))
    raw = client.chat.completions.with_raw_response.create(model=model, messages=HI, seed=7, user="someone")
    assert raw.parse().choices[0].message.content == "Hello."
    assert raw.headers["x-request-id"].startswith("req_")
    assert raw.headers["content-type"] == "application/json"
    assert upstream.requests[model][0] == {"model": model, "messages": HI, "seed": 7, "user": "someone"}
    tools: Any = [function("f")]
    calls = client.chat.completions.create(model=model, messages=HI, tools=tools).choices[0].message.tool_calls
    assert calls is not None
    assert calls[0].to_dict()["function"] == {"name": "f", "arguments": '{"a":1}'}


def test_a_streamed_one_comes_as_it_is_made(client: OpenAI, upstream: ScriptedUpstream) -> None:
    hold = threading.Event()
    model = upstream.script(Reply(pieces=["one ", "two"], hold=hold))
    with client.chat.completions.create(model=model, messages=HI, stream=True) as stream:
        text = ""
        for chunk in stream:
            text += (chunk.choices[0].delta.content or "") if chunk.choices else ""
            if text == "one two":
                hold.set()
    assert text == "one two"
    assert hold.is_set()


def test_embeddings_and_audio(client: OpenAI) -> None:
    embedding = client.embeddings.create(model="any", input=["a", "b"], encoding_format="float")
    assert [one.index for one in embedding.data] == [0, 1]
    spoken = client.audio.speech.create(model="tts", voice="alloy", input="hi").read()
    assert spoken == b"".join(bytes([number]) * 1000 for number in range(100))
    content = bytes(range(256)) * 20_000
    text = client.audio.transcriptions.create(model="whisper-1", file=("a.mp3", content)).text
    assert text == f"whisper-1 a.mp3 {len(content)} {hashlib.sha256(content).hexdigest()}"


def test_any_method_path_and_query(server: ServerProcess) -> None:
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
        content = b"" if method in ("GET", "OPTIONS") else b"some\0bytes"
        answer = httpx.request(method, f"{server.url}/echo/a%20b/%E2%82%AC%3F?x=1&y=%26", content=content)
        assert answer.status_code == 201
        said = answer.json()
        assert (said["method"], said["url"]) == (method, "/v1/echo/a%20b/%E2%82%AC%3F?x=1&y=%26")
        assert said["sha256"] == hashlib.sha256(content).hexdigest()
    assert httpx.head(f"{server.url}/echo/x").status_code == 201


def test_which_headers_pass(server: ServerProcess) -> None:
    secret = {"authorization": "Bearer sk-caller", "api-key": "sk-caller", "cookie": "a=sk-caller"}
    secret |= {"x-api-key": "sk-caller", "openai-organization": "org-caller", "x-forwarded-for": "10.0.0.1"}
    sent = {"content-type": "application/x-thing", "openai-beta": "x=v1", "idempotency-key": "1", "accept": "text/x"}
    answer = httpx.post(f"{server.url}/echo/headers", content=b"x", headers=secret | sent)
    said = answer.json()["headers"]
    assert "caller" not in str(said)
    # Nor is the cookie kept that the upstream itself set.
    assert "cookie" not in httpx.get(f"{server.url}/echo/headers").json()["headers"]
    assert "10.0.0.1" not in str(said)
    assert {name: said[name] for name in sent} == sent
    assert answer.headers.get_list("x-request-id") != ["theirs"]
    assert len(answer.headers.get_list("x-request-id")) == len(answer.headers.get_list("date")) == 1
    assert answer.headers["x-ratelimit-remaining-requests"] == "7"
    assert answer.headers["openai-organization"] == "org-theirs"
    assert not {"set-cookie", "access-control-allow-origin", "server"} & set(answer.headers)


def test_the_key_is_the_upstreams_own_or_the_callers(upstream: ScriptedUpstream, tmp_path: Path) -> None:
    caller = {"authorization": "Bearer sk-caller", "openai-organization": "org-caller"}
    for key, expected in (("sk-upstream", "Bearer sk-upstream"), ("pass-through", "Bearer sk-caller")):
        server = ServerProcess(tmp_path / key, "--upstream", upstream.url, "--upstream-key", key)
        said = httpx.get(f"{server.url}/echo/key", headers=caller).json()["headers"]
        assert said["authorization"] == expected
        assert ("openai-organization" in said) == (key == "pass-through")
        model = upstream.script(
            Reply(status=401, body={"error": {"message": "No: sk-upstream", "param": "sk-upstream"}})
        )
        refused = httpx.post(f"{server.url}/chat/completions", json={"model": model}, headers=caller)
        assert refused.status_code == 401
        assert ("sk-upstream" in refused.text) == (key == "pass-through")
        assert server.stop() == 0


def test_the_models_map(upstream: ScriptedUpstream, tmp_path: Path) -> None:
    model = upstream.script(Reply("mapped"), Reply("any"))
    flags = ("--upstream", upstream.url, "--models", f"gpt-4*={model}", "--models", "ada=bge", "--model", model)
    server = ServerProcess(tmp_path / "data", *flags)
    with official_client(server) as client:
        for name in ("gpt-4o", "o3"):
            assert client.chat.completions.create(model=name, messages=HI).model == model
        assert client.embeddings.create(model="ada", input="a", encoding_format="float").model == "bge"
        # A chat model makes no embeddings: --model is not for them.
        assert client.embeddings.create(model="e5", input="a", encoding_format="float").model == "e5"
    body = b'{ "model":"other", "n": 1e2, "big": 123456789012345678901234567890 }'
    said = httpx.post(f"{server.url}/echo/x", content=body, headers={"content-type": "application/json"}).json()
    assert said["body"].encode() == body
    assert server.stop() == 0


def test_a_body_goes_on_before_it_has_ended(server: ServerProcess, upstream: ScriptedUpstream) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"first"
        wait_for(lambda: upstream.received.get("/v1/echo/stream") == 5)
        yield b"second"

    said = httpx.post(f"{server.url}/echo/stream", content=pieces()).json()
    assert said["body"] == "firstsecond"


def test_json_that_is_too_large_or_broken(server: ServerProcess, upstream: ScriptedUpstream) -> None:
    headers = {"content-type": "application/json"}
    large = b'"' + b"x" * 64 * 1024**2
    answer = httpx.post(f"{server.url}/echo/large", content=large, headers=headers)
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")
    for broken in (b"{", b'{"a": NaN}', b'{"model": "m", "a": ' + b"[" * 500 + b"]" * 500 + b"}"):
        answer = httpx.post(f"{server.url}/echo/large", content=broken, headers=headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_json")
    assert "/v1/echo/large" not in upstream.received
    for odd in (b"[]", b"5", b'{"model": 5}'):
        assert httpx.post(f"{server.url}/echo/odd", content=odd, headers=headers).json()["body"].encode() == odd


@pytest.mark.parametrize(
    ("body", "message", "code"),
    [
        ({"error": {"message": "No such thing.", "code": "c", "type": "t", "extra": 1}}, "No such thing.", "c"),
        ({"error": "Busy."}, "The upstream {root} answered 400: Busy.", None),
        ({"detail": "Busy."}, "The upstream {root} answered 400: Busy.", None),
        ({"object": "error", "message": "Busy.", "code": 40}, "The upstream {root} answered 400: Busy.", "40"),
        ("<h1>Busy</h1>", "The upstream {root} answered 400: <h1>Busy</h1>", None),
        ("", "The upstream {root} answered 400: (no message)", None),
    ],
)
def test_the_upstreams_errors(
    body: Any, message: str, code: str | None, client: OpenAI, upstream: ScriptedUpstream
) -> None:
    model = upstream.script(Reply(status=400, body=body, headers={"retry-after": "3", "x-should-retry": "false"}))
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model=model, messages=HI)
    error = caught.value.response.json()["error"]
    assert (error["message"], error["code"]) == (message.format(root=upstream.root), code)
    assert {"message", "type", "param", "code"} <= set(error)
    assert caught.value.response.headers["retry-after"] == "3"
    assert caught.value.response.headers["content-type"] == "application/json"


def test_no_redirect_leads_clients_to_the_upstream(server: ServerProcess) -> None:
    answer = httpx.get(f"{server.url}/echo/elsewhere")
    assert answer.status_code == 502
    assert "redirects to http://127.0.0.1:1/elsewhere: is" in answer.json()["error"]["message"]
    assert "location" not in answer.headers


def test_what_is_ours_is_never_passed_on(server: ServerProcess) -> None:
    for method, path in (
        *(("PUT", "assistants"), ("GET", "assistants/"), ("GET", "threads"), ("POST", "threads/t/x")),
        *(("GET", "vector_stores/vs/x"), ("PATCH", "files"), ("GET", "uploads/u"), ("POST", "models/m")),
        *(("GET", "/files/x/y"), ("GET", "echo/%2e%2e/models"), ("GET", "echo/%2E/x"), ("GET", "")),
    ):
        answer = httpx.request(method, f"{server.url}/{path}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "unknown_url"), path
        assert answer.json()["error"]["message"].startswith(f"Invalid URL ({method} /v1/")


def test_an_upstream_that_is_away(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = ServerProcess(tmp_path / "data", "--upstream", f"http://127.0.0.1:{port}/v1")
    wait_for(lambda: f"upstream: The upstream http://127.0.0.1:{port} cannot be reached" in server.log())
    with official_client(server) as client, pytest.raises(openai.InternalServerError) as caught:
        client.chat.completions.create(model="m", messages=HI)
    assert caught.value.status_code == 502
    assert f"The upstream http://127.0.0.1:{port} is unreachable" in str(caught.value)
    assert "Traceback" not in server.log()
    assert server.stop() == 0


def test_an_answer_that_breaks_off(server: ServerProcess, client: OpenAI, upstream: ScriptedUpstream) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(f"{server.url}/echo/cut")
    assert "Traceback" not in server.log()


def test_a_stream_that_breaks_off(tmp_path: Path) -> None:
    """An upstream that dies between two events: the stream says so, as clients understand."""
    chunk = json.dumps({"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": []})
    event = f"data: {chunk}\n\n".encode()

    def answer(listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                if b"chat/completions" in connection.recv(65536):
                    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
                    connection.sendall(head + b"%x\r\n%s\r\n" % (len(event), event))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer, args=(listener,), daemon=True)
        thread.start()
        server = ServerProcess(tmp_path / "data", "--upstream", f"http://127.0.0.1:{listener.getsockname()[1]}/v1")
        with official_client(server) as client:
            stream = client.chat.completions.create(model="m", messages=HI, stream=True)
            assert next(stream).model == "m"
            with pytest.raises(openai.APIError, match="broke off"):
                next(stream)
        assert "Traceback" not in server.log()
        assert server.stop() == 0
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()


def test_a_client_that_leaves_ends_the_upstreams_work(
    server: ServerProcess, client: OpenAI, upstream: ScriptedUpstream
) -> None:
    model = upstream.script(Reply(pieces=["word "] * 3000, delay=0.01))
    with client.chat.completions.create(model=model, messages=HI, stream=True) as stream:
        next(stream)
    wait_for(lambda: model in upstream.left)
    for kind, content in (("form", b"x"), ("json", b'{"model": "m"}')):
        path = f"/echo/never/{kind}"
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(server.url + path, content=content, headers={"content-type": f"application/{kind}"}, timeout=0.5)
        wait_for(lambda path=path: f"/v1{path}" in upstream.left)  # type: ignore[misc]

    def pieces() -> Iterator[bytes]:
        yield b"half"
        wait_for(lambda: upstream.received.get("/v1/echo/upload") == 4)
        raise KeyError

    with pytest.raises(KeyError):
        httpx.post(f"{server.url}/echo/upload", content=pieces())
    wait_for(lambda: "/v1/echo/upload" in upstream.left)
    assert "Traceback" not in server.log()


# ---------------------------------------------------------------------------------------------------------------------
# With no upstream


def test_offline_chat(offline: OpenAI) -> None:
    raw = offline.chat.completions.with_raw_response.create(model="gpt-4o", messages=HI)
    assert raw.headers["x-understudy-model"] == "offline"
    whole = raw.parse()
    assert whole.id.startswith("chatcmpl-")
    assert (whole.model, whole.choices[0].finish_reason) == ("gpt-4o", "stop")
    assert (whole.choices[0].message.content or "").startswith("[offline stand-in, no model]")
    assert whole.usage is not None
    assert whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens > 0
    chunks = list(
        offline.chat.completions.create(
            model="gpt-4o", messages=HI, stream=True, stream_options={"include_usage": True}
        )
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1])
    assert text == whole.choices[0].message.content
    assert len({chunk.id for chunk in chunks}) == 1
    assert (chunks[0].choices[0].delta.role, chunks[-2].choices[0].finish_reason) == ("assistant", "stop")
    assert (chunks[-1].choices, chunks[-1].usage) == ([], whole.usage)
    assert all(chunk.usage is None for chunk in chunks[:-1])


def test_offline_streams_end_as_the_apis_do(offline_server: ServerProcess) -> None:
    body = {"model": "m", "messages": HI, "stream": True}
    answer = httpx.post(f"{offline_server.url}/chat/completions", json=body)
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    events = answer.text.split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""]
    assert "usage" not in json.loads(events[0].removeprefix("data: "))


def test_offline_tools_and_formats(offline: OpenAI) -> None:
    parameters = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    tools: Any = [{"type": "function", "function": {"name": "get_weather", "parameters": parameters}}]
    for name in ("get_weather", None):
        choice: Any = {"type": "function", "function": {"name": name}} if name else "required"
        answer = offline.chat.completions.create(model="m", messages=HI, tools=tools, tool_choice=choice).choices[0]
        assert answer.finish_reason == "tool_calls"
        assert answer.message.content is None
        assert answer.message.tool_calls is not None
        (call,) = answer.message.tool_calls
        assert call.type == "function"
        arguments = call.function.arguments
        assert (call.function.name, list(json.loads(arguments))) == ("get_weather", ["city"])
    with offline.chat.completions.stream(model="m", messages=HI, tools=tools, tool_choice="required") as stream:
        accumulated = stream.get_final_completion().choices[0].message.tool_calls
    assert accumulated is not None
    (streamed,) = accumulated
    assert streamed.type == "function"
    assert streamed.function.arguments == arguments
    asked: Any = [*HI, answer.message.to_dict(), {"role": "tool", "tool_call_id": call.id, "content": "18 degrees"}]
    reported = offline.chat.completions.create(model="m", messages=asked, tools=tools).choices[0].message.content
    assert "get_weather answered: 18 degrees" in (reported or "")
    form: Any = {"type": "json_schema", "json_schema": {"name": "w", "schema": parameters, "strict": True}}
    content = offline.chat.completions.create(model="m", messages=HI, response_format=form).choices[0].message.content
    assert list(json.loads(content or "")) == ["city"]


def test_offline_choices_and_limits(offline: OpenAI) -> None:
    answer = offline.chat.completions.create(model="m", messages=HI, n=3, max_completion_tokens=2)
    assert [(one.index, one.finish_reason) for one in answer.choices] == [(n, "length") for n in range(3)]
    assert answer.usage is not None
    assert answer.usage.completion_tokens <= 6
    chunks = list(offline.chat.completions.create(model="m", messages=HI, n=2, max_tokens=1, stream=True))
    assert [chunk.choices[0].index for chunk in chunks] == [0, 0, 0, 1, 1, 1]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"messages": HI}, "Missing required parameter: 'model'."),
        ({"model": "m"}, "Missing required parameter: 'messages'."),
        ({"model": "m", "messages": [{"content": "x"}]}, "Missing required parameter: 'messages[0].role'."),
        (
            {"model": "m", "messages": []},
            "Invalid 'messages': empty array. Expected an array with minimum length 1, "  # noqa: ISC004
            "but got an empty array instead.",
        ),
        (
            {"model": "m", "messages": HI, "n": 0},
            "Invalid 'n': integer below minimum value. Expected a value >= 1, but got 0 instead.",
        ),
        (
            {"model": "m", "messages": [{"role": "user", "content": ["x"]}]},
            "Invalid type for 'messages[0].content[0]': expected an object, but got a string instead.",
        ),
        (
            {"model": "m", "messages": HI, "tools": [{"type": "function", "function": {}}]},
            "Missing required parameter: 'tools[0].function.name'.",
        ),
    ],
)
def test_offline_refusals(body: Any, message: str, offline_server: ServerProcess) -> None:
    answer = httpx.post(f"{offline_server.url}/chat/completions", json=body)
    assert (answer.status_code, answer.json()["error"]["message"]) == (400, message)


def test_offline_everything_else_needs_an_upstream(offline: OpenAI, offline_server: ServerProcess) -> None:
    with pytest.raises(openai.InternalServerError) as caught:
        offline.embeddings.create(model="m", input="x")
    assert (caught.value.status_code, caught.value.response.headers["x-should-retry"]) == (501, "false")
    assert "start the server with --upstream URL" in str(caught.value)
    for method, path in (("GET", "chat/completions"), ("POST", "audio/speech"), ("DELETE", "fine_tuning/jobs/x")):
        assert httpx.request(method, f"{offline_server.url}/{path}").status_code == 501
    assert httpx.put(f"{offline_server.url}/assistants").status_code == 404
