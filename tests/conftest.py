"""The servers that the tests talk to, each a process of its own, and the official client as their hand."""

from collections.abc import Iterator

import pytest
from openai import OpenAI

from tests.scripted_upstream import ScriptedUpstream
from tests.server_process import ServerProcess

KEY = "sk-test"


def official_client(server: ServerProcess) -> OpenAI:
    """The official client; what does not fit its types raises. No retries: a 500 must not pass the second time."""
    return OpenAI(base_url=server.url, api_key=KEY, _strict_response_validation=True, max_retries=0)


@pytest.fixture(scope="session")
def upstream() -> Iterator[ScriptedUpstream]:
    """A scripted Chat Completions server."""
    upstream = ScriptedUpstream()
    yield upstream
    upstream.stop()


@pytest.fixture(scope="session")
def server(upstream: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Understudy in front of the scripted upstream."""
    process = ServerProcess(tmp_path_factory.mktemp("server") / "data", "--upstream", upstream.url)
    yield process
    assert process.stop() == 0, process.log()


@pytest.fixture(scope="session")
def offline_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Understudy with no upstream: the offline model answers."""
    process = ServerProcess(tmp_path_factory.mktemp("offline") / "data")
    yield process
    assert process.stop() == 0, process.log()


@pytest.fixture(scope="session")
def client(server: ServerProcess) -> Iterator[OpenAI]:
    """The official client on `server`."""
    with official_client(server) as client:
        yield client


@pytest.fixture(scope="session")
def offline(offline_server: ServerProcess) -> Iterator[OpenAI]:
    """The official client on `offline_server`."""
    with official_client(offline_server) as client:
        yield client
