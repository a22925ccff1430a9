"""/models through the official client."""

import socket
from pathlib import Path

import openai
import pytest
from openai import OpenAI

from tests.conftest import official_client
from tests.scripted_upstream import ScriptedUpstream
from tests.server_process import ServerProcess


@pytest.mark.operation("listModels", "retrieveModel", "deleteModel")
def test_the_upstream_lists(client: OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["scripted"]
    assert client.models.retrieve("scripted").object == "model"
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("gpt-none")
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")
    assert "The model 'gpt-none' does not exist" in str(caught.value)
    with pytest.raises(openai.PermissionDeniedError):
        client.models.delete("scripted")
    with pytest.raises(openai.NotFoundError):
        client.models.delete("gpt-none")


def test_offline(offline: OpenAI) -> None:
    raw = offline.models.with_raw_response.list()
    assert raw.headers["x-understudy-model"] == "offline"
    assert [model.id for model in raw.parse()] == ["understudy-offline"]
    # Every name is answered, so every name is there.
    assert offline.models.retrieve("gpt-4o").id == "gpt-4o"


def test_the_map_comes_first(upstream: ScriptedUpstream, tmp_path: Path) -> None:
    names = ("--models", "gpt-4o=scripted", "--models", "gpt-3*=scripted", "--models", "org/name=scripted")
    server = ServerProcess(tmp_path / "data", "--upstream", upstream.url, *names)
    with official_client(server) as client:
        assert [model.id for model in client.models.list()] == ["gpt-4o", "org/name", "scripted"]
        assert client.models.retrieve("org/name").id == "org/name"
        # Served by the glob, though it is in no list.
        assert client.models.retrieve("gpt-3.5-turbo").owned_by == "understudy"
        with pytest.raises(openai.NotFoundError):
            client.models.retrieve("o3")
    assert server.stop() == 0


def test_one_model_for_every_name(upstream: ScriptedUpstream, tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "data", "--upstream", upstream.url, "--model", "scripted")
    with official_client(server) as client:
        assert [model.id for model in client.models.list()] == ["scripted"]
        assert client.models.retrieve("o3").id == "o3"
    assert server.stop() == 0


def test_an_upstream_that_is_away(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    server = ServerProcess(tmp_path / "named", "--upstream", url, "--models", "gpt-4o=x", "--models", "o*=x")
    with official_client(server) as client:
        assert [model.id for model in client.models.list()] == ["gpt-4o"]
        assert client.models.retrieve("o3").id == "o3"
        with pytest.raises(openai.InternalServerError, match="lists no models") as caught:
            client.models.retrieve("unknown")
        assert caught.value.status_code == 502
    assert "models: The upstream http://127.0.0.1" in server.log()
    assert server.stop() == 0
    server = ServerProcess(tmp_path / "unnamed", "--upstream", url)
    with (
        official_client(server) as client,
        pytest.raises(openai.InternalServerError, match="lists no models") as caught,
    ):
        client.models.list()
    assert caught.value.status_code == 502
    assert server.stop() == 0


def test_a_key_that_the_upstream_refuses(upstream: ScriptedUpstream, tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "caller", "--upstream", upstream.guarded_url, "--upstream-key", "pass-through")
    with official_client(server) as client, pytest.raises(openai.AuthenticationError) as caught:
        client.models.list()
    assert caught.value.code == "invalid_api_key"
    assert "sk-test" not in str(caught.value)
    assert "upstream:" not in server.log()
    assert server.stop() == 0
    server = ServerProcess(tmp_path / "own", "--upstream", upstream.guarded_url, "--upstream-key", "sk-wrong")
    with official_client(server) as client, pytest.raises(openai.InternalServerError, match="answered 401"):
        client.models.list()
    assert "answered 401: give it its key by --upstream-key" in server.log()
    assert "sk-wrong" not in server.log()
    assert server.stop() == 0
