"""The servers that the tests talk to, each a process of its own, and the official client as their hand."""

from collections.abc import Generator, Iterator

import pytest
from openai import DefaultHttpxClient, OpenAI

from tests import traffic
from tests.scripted_upstream import ScriptedUpstream
from tests.server_process import ServerProcess

KEY = "sk-test"


def official_client(server: ServerProcess) -> OpenAI:
    """The official client; what does not fit its types raises. No retries: a 500 must not pass the second time."""
    return OpenAI(
        base_url=server.url,
        api_key=KEY,
        _strict_response_validation=True,
        max_retries=0,
        http_client=DefaultHttpxClient(event_hooks={"response": [traffic.note]}),
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Hold a test to the operations and events that its markers claim."""
    traffic.reset()
    result = yield
    for kind, seen in (("operation", traffic.operations), ("event", traffic.events)):
        claimed = {name for marker in item.iter_markers(kind) for name in marker.args}
        assert claimed <= seen, f"the test claims the {kind}s {sorted(claimed - seen)}, and did not meet them"
    return result


@pytest.fixture(autouse=True)
def _no_server_is_left() -> Iterator[None]:
    """A test that fails before it has stopped its server would leave it at work beside all that follow."""
    before = set(ServerProcess.running)
    yield
    for left in ServerProcess.running - before:
        left.kill()


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
