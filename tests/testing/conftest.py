"""A server in test mode, and namespaces on it: each test has a key of its own."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from openai import OpenAI
from openai.types.beta import Assistant
from openai.types.beta.threads import Run

from tests.server_process import ServerProcess

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def testing_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Understudy in test mode, with no upstream."""
    process = ServerProcess(tmp_path_factory.mktemp("testing") / "data", "--test-api")
    yield process
    assert process.stop() == 0, process.log()
    assert " ERROR " not in process.log()


@dataclass
class Space:
    """A namespace: its official client, and its control routes."""

    server: ServerProcess
    key: str
    retries: int = 0
    client: OpenAI = field(init=False)

    def __post_init__(self) -> None:
        self.client = OpenAI(
            base_url=self.server.url, api_key=self.key, max_retries=self.retries, _strict_response_validation=True
        )
        self.http = httpx.Client(
            base_url=f"{self.server.root}/_understudy", headers={"Authorization": f"Bearer {self.key}"}, timeout=60
        )

    def control(self, method: str, path: str, body: Any = None) -> Any:
        """Call a control route; what it answers."""
        response = self.http.request(method, path, json=body)
        assert response.status_code == 200, response.text
        return response.json()

    def fault(self, **fault: Any) -> None:
        """Add a fault."""
        self.control("POST", "/faults", fault)

    def assistant(self, **more: Any) -> Assistant:
        """An assistant."""
        return self.client.beta.assistants.create(**{"model": "gpt-4o", "instructions": "Be brief.", **more})

    def run(self, text: str = "hello", **assistant: Any) -> Run:
        """A run on a thread of its own, as it was created."""
        return self.client.beta.threads.create_and_run(
            assistant_id=self.assistant(**assistant).id, thread={"messages": [{"role": "user", "content": text}]}
        )

    def again(self, run: Run) -> Run:
        """The run as it stands now."""
        return self.client.beta.threads.runs.retrieve(run.id, thread_id=run.thread_id)

    def close(self) -> None:
        """Close the clients."""
        self.client.close()
        self.http.close()


@pytest.fixture
def space(testing_server: ServerProcess) -> Iterator[Space]:
    """A fresh namespace."""
    space = Space(testing_server, f"sk-{next(_numbers)}")
    yield space
    space.close()


@pytest.fixture
def other(testing_server: ServerProcess) -> Iterator[Space]:
    """Another one."""
    space = Space(testing_server, f"sk-{next(_numbers)}")
    yield space
    space.close()
