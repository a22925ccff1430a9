"""Who answers in a namespace: a script, a stand-in, a cassette; and what the journal tells of it."""

from collections.abc import Iterator
from pathlib import Path

import openai
import pytest
from openai.types.beta.threads import Run

from tests.scripted_upstream import Reply, ScriptedUpstream
from tests.server_process import ServerProcess
from tests.testing.conftest import Space

SCRIPT = """
rules:
  - {when: {user: hello}, reply: "Hi!"}
  - {when: {user: twice}, times: 1, reply: "Once."}
"""


def answered(space: Space, text: str) -> tuple[Run, str]:
    """A run that has ended, and its answer."""
    run = space.client.beta.threads.create_and_run_poll(
        assistant_id=space.assistant().id, thread={"messages": [{"role": "user", "content": text}]}
    )
    messages = space.client.beta.threads.messages.list(run.thread_id, run_id=run.id).data
    return run, "".join(part.text.value for one in messages for part in one.content if part.type == "text")


def test_a_script_of_one_key(space: Space, other: Space) -> None:
    space.control("PUT", "/script", {"text": SCRIPT, "name": "greetings.yaml"})
    assert answered(space, "hello there")[1] == "Hi!"
    assert answered(other, "hello there")[1].startswith("[offline stand-in")
    [call] = space.control("GET", "/model_calls")["data"]
    assert (call["rule"], call["line"], call["unmatched"], call["misses"]) == (1, 3, False, [])


def test_what_no_rule_matches_is_told(space: Space) -> None:
    space.control("PUT", "/script", {"text": SCRIPT, "name": "greetings.yaml"})
    run, _ = answered(space, "goodbye")
    assert run.status == "failed"
    assert run.last_error is not None
    assert "greetings.yaml" in run.last_error.message
    [call] = space.control("GET", "/model_calls")["data"]
    assert (call["rule"], call["unmatched"]) == (None, True)
    assert [miss["rule"] for miss in call["misses"]] == [1, 2]


def test_a_reset_forgets_the_script(space: Space) -> None:
    space.control("PUT", "/script", {"text": SCRIPT})
    assert answered(space, "twice")[1] == "Once."
    assert answered(space, "twice")[0].status == "failed"
    space.control("POST", "/reset")
    assert answered(space, "hello")[1].startswith("[offline stand-in")
    space.control("PUT", "/script", {"text": SCRIPT})
    assert answered(space, "twice")[1] == "Once."
    space.control("DELETE", "/script")
    assert answered(space, "hello")[1].startswith("[offline stand-in")


def test_a_stand_in(space: Space) -> None:
    space.control("PUT", "/stand_in", {"name": "auto"})
    assert answered(space, "hello")[1] == "{}"
    space.control("PUT", "/stand_in", {"name": None})
    assert answered(space, "hello")[1].startswith("[offline stand-in")


@pytest.mark.parametrize(
    ("route", "body", "said"),
    [
        ("/script", {"text": "rules:\n  - {repply: x}\n", "name": "a.yaml"}, "a.yaml:2:6: error: unknown key 'repply'"),
        ("/script", {"text": "on_miss: upstream\nrules: [{reply: x}]"}, "on_miss: upstream needs --upstream"),
        ("/cassette", {"path": "/nowhere/c.yaml"}, "/nowhere/c.yaml"),
    ],
)
def test_what_cannot_be_used_is_refused(space: Space, route: str, body: dict[str, str], said: str) -> None:
    refused = space.http.put(route, json=body)
    assert refused.status_code == 400
    assert said in refused.json()["error"]["message"]
    assert answered(space, "hello")[1].startswith("[offline stand-in")


def test_a_cassette_that_does_not_know_the_call(space: Space, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("version: 1\nentries: []\n")
    refused = space.http.put("/cassette", json={"path": str(tmp_path / "c.yaml")})
    assert refused.status_code == 200, refused.text
    run, _ = answered(space, "hello")
    assert run.status == "failed"
    assert space.control("DELETE", "/cassette")["report"]["misses"]
    assert answered(space, "hello")[1].startswith("[offline stand-in")


def test_a_cassette_after_which_none_can_be_put_in(space: Space, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("version: 1\nentries: []\n")
    space.control("PUT", "/cassette", {"path": str(tmp_path / "c.yaml")})
    assert space.http.put("/cassette", json={"path": str(tmp_path / "absent.yaml")}).status_code == 400
    assert answered(space, "hello")[1].startswith("[offline stand-in")
    assert space.control("DELETE", "/cassette")["report"] is None


@pytest.fixture
def recording_server(upstream: ScriptedUpstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Space]:
    """A namespace of a server in front of an upstream, where cassettes may be recorded."""
    monkeypatch.delenv("CI", raising=False)
    process = ServerProcess(tmp_path / "data", "--test-api", "--upstream", upstream.url)
    space = Space(process, "sk-recording")
    yield space
    space.close()
    assert process.stop() == 0, process.log()


def completed(space: Space, model: str) -> str | None:
    """What a chat completion, which goes to the upstream, answers."""
    done = space.client.chat.completions.create(model=model, messages=[{"role": "user", "content": "hello"}])
    return done.choices[0].message.content


def test_a_cassette_is_recorded_and_replayed(
    recording_server: Space, upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    space, model = recording_server, upstream.script(Reply("first"), Reply("second"))
    cassette = {"path": str(tmp_path / "c.yaml"), "mode": "once"}
    space.control("PUT", "/cassette", cassette)
    assert completed(space, model) == "first"
    other = Space(space.server, "sk-other")
    refused = other.http.put("/cassette", json=cassette | {"mode": "all"})
    assert refused.status_code == 400
    assert "is being recorded on" in refused.json()["error"]["message"]
    assert space.control("DELETE", "/cassette")["report"]["recorded"] == 1
    assert completed(space, model) == "second"
    other.control("PUT", "/cassette", cassette)
    assert completed(other, model) == "first"
    other.control("POST", "/reset")
    other.control("PUT", "/cassette", cassette)
    assert completed(other, model) == "first"
    other.close()


def test_a_cassette_for_all_keys(recording_server: Space, upstream: ScriptedUpstream, tmp_path: Path) -> None:
    """Each replays it from its beginning, also after one of its own."""
    model = upstream.script(Reply("recorded"))
    recording_server.control("PUT", "/cassette", {"path": str(tmp_path / "c.yaml"), "mode": "all"})
    assert completed(recording_server, model) == "recorded"
    recording_server.control("DELETE", "/cassette")
    (tmp_path / "empty.yaml").write_text("version: 1\nentries: []\n")
    process = ServerProcess(tmp_path / "replay", "--test-api", "--cassette", str(tmp_path / "c.yaml"))
    for key in ("sk-one", "sk-two"):
        space = Space(process, key)
        assert completed(space, model) == "recorded"
        space.control("PUT", "/cassette", {"path": str(tmp_path / "empty.yaml")})
        with pytest.raises(openai.APIStatusError):
            completed(space, model)
        space.control("DELETE", "/cassette")
        assert completed(space, model) == "recorded"
        space.close()
    assert process.stop() == 0, process.log()
