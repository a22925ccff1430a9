"""The Azure clients, unchanged."""

import io
from pathlib import Path
from typing import Any

import anyio
import httpx
import openai
import pytest
from openai import AsyncAzureOpenAI, AzureOpenAI

from tests.scripted_upstream import Reply, ScriptedUpstream
from tests.server_process import ServerProcess

VERSION = "2024-05-01-preview"
HI: Any = [{"role": "user", "content": "hi"}]


def _client(server: ServerProcess, **options: Any) -> AzureOpenAI:
    options = {"api_key": "azure-key"} | options
    return AzureOpenAI(
        azure_endpoint=server.root,
        api_version=VERSION,
        max_retries=0,
        _strict_response_validation=True,
        **options,
    )


@pytest.mark.parametrize("deployment", [None, "my-deployment"])
def test_a_run(deployment: str | None, server: ServerProcess, upstream: ScriptedUpstream) -> None:
    model = upstream.script(Reply("Hello from Azure."))
    with _client(server, azure_deployment=deployment) as client:
        file = client.files.create(file=("a.txt", io.BytesIO(b"text")), purpose="assistants")
        with pytest.raises(openai.BadRequestError, match="Not allowed to download"):
            client.files.content(file.id)
        assert [one.id for one in client.files.list(purpose="assistants") if one.id == file.id] == [file.id]
        assistant = client.beta.assistants.create(model=model, name="A", instructions="Help.")
        assert client.beta.assistants.list(limit=1).data[0].id == assistant.id
        thread = client.beta.threads.create(messages=HI)
        with client.beta.threads.runs.stream(thread_id=thread.id, assistant_id=assistant.id) as stream:
            stream.until_done()
        assert "Hello from Azure." in str(client.beta.threads.messages.list(thread.id, order="desc").data[0].content)
        store = client.vector_stores.create(name="S")
        assert client.vector_stores.delete(store.id).deleted
        with pytest.raises(openai.NotFoundError) as caught:
            client.beta.assistants.retrieve("asst_x")
        assert caught.value.response.json()["error"]["message"] == "No assistant found with id 'asst_x'."


@pytest.mark.parametrize("deployment", [None, "my-deployment"])
def test_an_asynchronous_client(deployment: str | None, server: ServerProcess, upstream: ScriptedUpstream) -> None:
    model = upstream.script(Reply("Hello."), Reply("Hello."))

    async def converse() -> None:
        async with AsyncAzureOpenAI(
            azure_endpoint=server.root,
            azure_deployment=deployment,
            azure_ad_token="token",
            api_version=VERSION,
            max_retries=0,
            _strict_response_validation=True,
        ) as client:
            assistant = await client.beta.assistants.create(model=model, name="A", instructions="Help.")
            run = await client.beta.threads.create_and_run_poll(assistant_id=assistant.id, thread={"messages": HI})
            assert run.status == "completed"
            answer = await client.chat.completions.create(model=model, messages=HI)
            assert answer.choices[0].message.content == "Hello."

    anyio.run(converse)


def test_the_deployment_is_the_model_of_a_body_without_one(server: ServerProcess, upstream: ScriptedUpstream) -> None:
    model = upstream.script(*[Reply("Hello.")] * 4)
    with _client(server) as client:
        assert client.chat.completions.create(model=model, messages=HI).choices[0].message.content == "Hello."
    with _client(server, azure_deployment="another-name") as client:
        assert client.chat.completions.create(model=model, messages=HI).choices[0].message.content == "Hello."
    url = f"{server.root}/openai/deployments/{model}/chat/completions"
    for headers in ({"api-key": "k"}, {"authorization": "Bearer k"}):
        answer = httpx.post(url, params={"api-version": VERSION}, json={"messages": HI}, headers=headers)
        assert answer.json()["choices"][0]["message"]["content"] == "Hello."
    assert [request["model"] for request in upstream.requests[model]] == [model] * 4
    assert set(upstream.paths[model]) == {"/v1/chat/completions"}


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("/openai/deployments/org/name/embeddings", "org/name"),
        ("/openai/deployments/org%2Fname/embeddings", "org/name"),
        ("/openai/deployments/embeddings/embeddings", "embeddings"),
        ("/openai/deployments/name/embeddings", "name"),
    ],
)
def test_deployments_names(path: str, model: str, server: ServerProcess) -> None:
    answer = httpx.post(server.root + path, params={"api-version": VERSION}, json={"input": ["x"]})
    assert answer.json()["model"] == model


def test_every_form_of_the_path(server: ServerProcess) -> None:
    assistant = httpx.post(f"{server.url}/assistants", json={"model": "m"}).json()["id"]
    for prefix in ("/openai", "/openai/v1", "/openai/deployments/any"):
        for query in ("", "?api-version=preview", f"?limit=1&api-version={VERSION}&order=asc"):
            answer = httpx.get(f"{server.root}{prefix}/assistants/{assistant}{query}")
            assert (answer.status_code, answer.json().get("id")) == (200, assistant), prefix + query
    assert httpx.get(f"{server.url}/assistants?api-version={VERSION}").status_code == 200
    assert httpx.get(f"{server.root}/openai/v1/echo/x?api-version=1&a=1").json()["url"] == "/v1/echo/x?a=1"


def test_errors_show_the_callers_own_path(server: ServerProcess) -> None:
    for path in ("/openai/threads/t/x", "/openai/v1/files/f/x", "/openai/deployments/d/threads/t/x", "/openai/v1"):
        error = httpx.get(server.root + path).json()["error"]
        assert (error["message"].partition(". ")[0], error["code"]) == (f"Invalid URL (GET {path})", "unknown_url")
        assert f"GET {path} 404" in server.log()


def test_keys(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "data", "--api-key", "azure-key")
    with _client(server) as client:
        assert client.beta.threads.create().object == "thread"
    with _client(server, api_key=None, azure_ad_token="azure-key") as client:
        assert client.beta.threads.create().object == "thread"
    with _client(server, api_key="another-key") as client, pytest.raises(openai.AuthenticationError):
        client.beta.threads.create()
    assert httpx.get(f"{server.root}/openai/assistants").status_code == 401
    assert server.stop() == 0


def test_an_azure_upstream_behind_any_client(upstream: ScriptedUpstream, tmp_path: Path) -> None:
    """Each path is asked for where Azure has it: under the model's deployment, or under the resource."""
    url = f"{upstream.root}?api-version={VERSION}"
    server = ServerProcess(tmp_path / "data", "--upstream", url, "--upstream-key", "k", "--models", "gpt-*=a/b")
    answer = httpx.get(f"{server.url}/echo/x?a=1", headers={"authorization": "Bearer sk-caller"}).json()
    assert answer["url"] == f"/openai/echo/x?api-version={VERSION}&a=1"
    assert answer["headers"]["api-key"] == "k"
    assert "authorization" not in answer["headers"]
    body = {"model": upstream.script(Reply("Hello.")), "messages": HI}
    assert httpx.post(f"{server.url}/chat/completions", json=body).status_code == 200
    assert upstream.paths[body["model"]] == [
        f"/openai/deployments/{body['model']}/chat/completions?api-version={VERSION}"
    ]
    assert httpx.post(f"{server.url}/chat/completions", json={"model": "..", "messages": HI}).status_code == 502
    form = {"file": ("a.mp3", b"x")}
    refused = httpx.post(f"{server.url}/audio/transcriptions", files=form)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "model")
    passed = httpx.post(f"{server.root}/openai/deployments/whisper/audio/transcriptions", files=form)
    assert passed.json() == {"text": "whisper"}
    assert server.stop() == 0
