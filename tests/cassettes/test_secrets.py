"""No secret gets into a cassette, and a cassette without them replays under other ones."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cassettes.recordings import entries, run_to_end, serving
from tests.runs.streams import assistant_with
from tests.scripted_upstream import JSON, Reply, ScriptedUpstream

pytestmark = pytest.mark.usefixtures("outside_ci")

OURS, THEIRS = "upstream-key-2f6d", "sk-theirs-91b2c3"


def _words(text: str, size: int) -> list[str]:
    return [text[start : start + size] for start in range(0, len(text), size)]


def test_secrets(upstream: ScriptedUpstream, tmp_path: Path) -> None:
    """In headers, in what is asked, and in answers that repeat them, whole and in pieces."""

    def repeating(body: JSON) -> Reply:
        asked, header = body["messages"][-1]["content"], upstream.headers[body["model"]][-1]["authorization"]
        return Reply(pieces=_words(f"You said {asked} with {header}.", 5))

    refusing = Reply(status=401, body={"error": {"message": f"Wrong key {OURS}, card 4111-2222"}})
    model = upstream.script(repeating, lambda body: repeating(body), refusing)
    cassette = tmp_path / "secrets.yaml"
    flags = ("--cassette", str(cassette), "--redact", r"\b\d{4}-\d{4}\b", "--redact", "hunter2")
    recording = (*flags, "--upstream", upstream.url, "--upstream-key", OURS)
    with serving(tmp_path / "one", *recording, command="record") as (server, client):
        assistant = assistant_with(client, model, instructions="The password is hunter2.")
        run = run_to_end(client, assistant, f"my key {THEIRS} and card 4111-2222")
        assert _answer(client, run) == f"You said my key {THEIRS} and card 4111-2222 with Bearer {OURS}."
        body: Any = {"model": model, "messages": [{"role": "user", "content": "card 4111-2222, again hunter2"}]}
        httpx.post(f"{server.url}/chat/completions", json=body, headers={"authorization": f"Bearer {THEIRS}"})
        httpx.post(f"{server.url}/chat/completions", json=body)
        echoed = {"card": "4111-2222", "note": "caf\u00e9 hunter2", "numbers": [1, 2]}
        httpx.post(f"{server.url}/echo/x?card=4111-2222", json=echoed, headers={"cookie": "hunter2"})
    assert len(entries(cassette)) == 4
    content = cassette.read_text()
    assert [secret for secret in (OURS, THEIRS, "4111", "2222", "hunter2") if secret in content] == []
    with serving(tmp_path / "two", "--cassette", str(cassette), "--redact", "swordfish") as (_, client):
        assistant = assistant_with(client, model, instructions="The password is swordfish.")
        run = run_to_end(client, assistant, "my key sk-another-one and card 9999-8888")
        assert _answer(client, run) == "You said my key <key> and card <redacted> with Bearer <key>."


def _answer(client: Any, run: Any) -> str:
    assert run.status == "completed", run.last_error
    return str(client.beta.threads.messages.list(run.thread_id, run_id=run.id).data[0].content[0].text.value)
