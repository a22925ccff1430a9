"""Who answers in a namespace: a script, a stand-in, a cassette; and what the journal tells of it."""

from pathlib import Path

import pytest
from openai.types.beta.threads import Run

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
