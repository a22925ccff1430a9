"""What cassette tests share: servers that record or replay, and a look into the file."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from openai import OpenAI
from openai.types.beta.threads import Run

from tests.conftest import official_client
from tests.runs.streams import thread_with
from tests.server_process import ServerProcess


@contextmanager
def serving(folder: Path, *flags: str, command: str = "serve") -> Iterator[tuple[ServerProcess, OpenAI]]:
    """A server on a data folder of its own, and its client."""
    server = ServerProcess(folder, *flags, command=command)
    try:
        with official_client(server) as client:
            yield server, client
    finally:
        code = server.stop()
    assert code == 0, server.log()


def entries(cassette: Path) -> list[Any]:
    """What the file holds."""
    content = yaml.safe_load(cassette.read_text())
    assert content["version"] == 1
    return list(content["entries"])


def run_to_end(client: OpenAI, assistant: str, text: str) -> Run:
    """A run on a thread with one message."""
    return client.beta.threads.runs.create_and_poll(thread_id=thread_with(client, text), assistant_id=assistant)
