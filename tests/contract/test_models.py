"""/models through the official client."""

from pathlib import Path

import openai
import pytest
from openai import OpenAI

from tests.conftest import official_client
from tests.scripted_upstream import ScriptedUpstream
from tests.server_process import ServerProcess


def test_the_upstream_lists(client: OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["scripted"]
    assert client.models.retrieve("scripted").object == "model"
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("gpt-none")
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")
    assert "The model 'gpt-none' does not exist" in str(caught.value)
    with pytest.raises(openai.PermissionDeniedError):
        client.models.delete("scripted")


def test_offline(offline: OpenAI) -> None:
    raw = offline.models.with_raw_response.list()
    assert raw.headers["x-understudy-model"] == "offline"
    assert [model.id for model in raw.parse()] == ["understudy-offline"]


def test_the_map_comes_first(upstream: ScriptedUpstream, tmp_path: Path) -> None:
    flags = ("--upstream", upstream.url, "--models", "gpt-4o=scripted", "--models", "gpt-3*=scripted")
    server = ServerProcess(tmp_path / "data", *flags)
    with official_client(server) as client:
        assert [model.id for model in client.models.list()] == ["gpt-4o", "scripted"]
    assert server.stop() == 0
