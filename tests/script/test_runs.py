"""Scripts through the server: only the model follows them, everything else is real."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.conftest import official_client
from tests.runs.streams import CODE, JSON, assistant_with, function, stream, thread_with
from tests.runs.test_file_search import SEARCH, store_with
from tests.scripted_upstream import Reply, ScriptedUpstream
from tests.server_process import ServerProcess

EXAMPLE = Path(__file__).parent / "weather.yaml"
FEATURES = r"""
rules:
  - when: {user: everything}
    turns:
      - reply: Let me look.
        call: [{f: {n: 1}}, {f: {n: 2}, g: null}]
        python: [print(6 * 7), {code: draw(), logs: "drawn\n", image: [true, true]}]
        search: ["What does Ada eat?", "Where is the bicycle shop?"]
      - reply: ${outputs.0} ${outputs.1} ${g} ${logs} ${results.0.text} ${results.0.mark}
  - {when: {user: canned}, turns: [{python: {code: draw(), logs: drawn, image: true}}, {reply: 'It says ${logs}.'}]}
  - {when: {user: broken off}, reply: I was about to, fail: {code: server_error, message: 'No ${user.words.0} today.'}}
  - {when: {user: refuse}, refuse: I will not.}
  - {when: {user: too long}, reply: And so, stop: length}
  - {when: {user: filtered}, reply: And so, stop: content_filter}
  - {when: {user: five}, reply: abcdefghijkl, chunk: 5, usage: {prompt_tokens: 7, completion_tokens: 3}}
  - {when: {user: slow}, reply: abcdef, delay: 0.2, chunk: {size: 2, every: 0.1}}
  - {when: {user: '/set (?P<n>\d+) (?P<on>\w+) (?P<id>\d+)/'}, call: {f: {n: "${n}", on: "${on}", id: "${id}", t: "1"}}}
  - {when: {user: raw}, call: {f: '{"n": ${user.words.1}'}}
  - {when: {user: whose, metadata: {of: run, in: thread, by: assistant}}, reply: '${metadata.of}, ${assistant.name}'}
  - when: {user: '/count to (\d+)/'}
    turns: [{call: {f: {n: "${1}"}}}, {call: {f: {n: "${f}"}}}, {reply: 'From ${outputs.0} to ${f}.'}]
"""


def _serve(folder: Path, script: str | Path, *flags: str) -> ServerProcess:
    if isinstance(script, str):
        (folder / "features.yaml").write_text(script)
        script = folder / "features.yaml"
    return ServerProcess(folder / "data", "--script", str(script), *flags)


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenAI]:
    """The official client on a server that plays the example."""
    process = _serve(tmp_path_factory.mktemp("example"), EXAMPLE)
    with official_client(process) as client:
        yield client
    assert process.stop() == 0, process.log()


@pytest.fixture(scope="module")
def features_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    process = _serve(tmp_path_factory.mktemp("features"), FEATURES)
    yield process
    assert process.stop() == 0, process.log()


@pytest.fixture(scope="module")
def features(features_server: ServerProcess) -> Iterator[OpenAI]:
    with official_client(features_server) as client:
        yield client


def _played(client: OpenAI, text: str, *tools: JSON, output: str = "", **settings: Any) -> Any:
    """A run on a thread with that text, all of whose calls are answered with `output`."""
    assistant = assistant_with(client, "gpt-4o", list(tools), **settings)
    run = client.beta.threads.runs.create_and_poll(thread_id=thread_with(client, text), assistant_id=assistant)
    return _answered(client, run, output)


def _answered(client: OpenAI, run: Any, output: str) -> Any:
    while run.required_action is not None:
        calls = run.required_action.submit_tool_outputs.tool_calls
        run = client.beta.threads.runs.submit_tool_outputs_and_poll(
            run_id=run.id,
            thread_id=run.thread_id,
            tool_outputs=[{"tool_call_id": call.id, "output": output} for call in calls],
        )
    return run


def _said(client: OpenAI, run: Any) -> str:
    """The text of the run's last message."""
    assert run.status == "completed", run.last_error
    message = client.beta.threads.messages.list(run.thread_id, run_id=run.id).data[0]
    return "".join(block.text.value for block in message.content if block.type == "text")


def _calls(client: OpenAI, run: Any) -> list[JSON]:
    steps = client.beta.threads.runs.steps.list(run.id, thread_id=run.thread_id, order="asc")
    details: list[Any] = [step.to_dict()["step_details"] for step in steps if step.type == "tool_calls"]
    return [call for one in details for call in one["tool_calls"]]


# ---------------------------------------------------------------------------------------------------------------------
# The example


def test_hello(example: OpenAI) -> None:
    assert _said(example, _played(example, "Hello Bob!")) == "Hi Bob! How can I help?"
    assert _said(example, _played(example, "hello")) == "Hi there! How can I help?"


@pytest.mark.parametrize(
    ("output", "said"),
    [('{"temp": 21}', "It is 21 degrees in Paris."), ("an error occurred", "Sorry, no data for Paris.")],
)
def test_weather(output: str, said: str, example: OpenAI) -> None:
    run = _played(example, "What is the weather in Paris?", function("get_weather"), output=output)
    assert _said(example, run) == said
    (call,) = _calls(example, run)
    assert call["function"] == {
        "name": "get_weather",
        "arguments": '{"city": "Paris", "unit": "c"}',
        "output": output,
    }


def test_plot(example: OpenAI) -> None:
    run = _played(example, "Please plot it", CODE)
    assert _said(example, run) == "Here is the plot; mean 2."
    (call,) = _calls(example, run)
    assert sorted(output["type"] for output in call["code_interpreter"]["outputs"]) == ["image", "logs"]
    (message,) = example.beta.threads.messages.list(run.thread_id, run_id=run.id).data
    assert [block.type for block in message.content] == ["image_file", "text"]


def test_flaky(example: OpenAI) -> None:
    for _ in range(2):
        run = _played(example, "This is flaky")
        assert (run.status, run.last_error.code) == ("failed", "rate_limit_exceeded")
    run = _played(example, "This is flaky")
    assert run.status == "failed"
    assert run.last_error.code == "server_error"
    lines = run.last_error.message.splitlines()
    assert lines[0].startswith('No rule of weather.yaml matches: user "This is flaky", model gpt-4o, assistant "asst_')
    assert lines[-1] == "  rule 4 (line 17): it has matched 2 times, all it may"
    assert len(lines) == 5


def test_what_nobody_scripted_fails(example: OpenAI) -> None:
    run = _played(example, "weather in Paris")
    assert run.status == "failed"
    assert "rule 2 (line 5): the run does not offer get_weather" in run.last_error.message


def test_runs_side_by_side_do_not_meet(example: OpenAI) -> None:
    cities, said = [f"City{number}" for number in range(12)], {}
    assistant = assistant_with(example, "gpt-4o", [function("get_weather")])

    def play(city: str) -> None:
        thread = thread_with(example, f"weather in {city}")
        run = example.beta.threads.runs.create_and_poll(thread_id=thread, assistant_id=assistant)
        said[city] = _said(example, _answered(example, run, f'{{"temp": "{city}°"}}'))

    threads = [threading.Thread(target=play, args=[city]) for city in cities]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said == {city: f"It is {city}° degrees in {city}." for city in cities}


def test_chat_completions(example: OpenAI) -> None:
    tools: Any = [function("get_weather")]
    messages: list[Any] = [{"role": "user", "content": "weather in Rome"}]
    message = example.chat.completions.create(model="m", messages=messages, tools=tools).choices[0].message
    assert message.tool_calls is not None
    messages += [message, {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": '{"temp": 30}'}]
    chunks = list(example.chat.completions.create(model="m", messages=messages, tools=tools, stream=True))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == "It is 30 degrees in Rome."


def test_the_server_says_who_answers(example: OpenAI) -> None:
    answer = example.beta.threads.with_raw_response.create()
    assert answer.headers["x-understudy-model"] == "script"
    assert [model.id for model in example.models.list()] == ["understudy-script"]
    assert example.models.retrieve("gpt-4o").id == "gpt-4o"


# ---------------------------------------------------------------------------------------------------------------------
# Turns


def test_a_turn_may_say_and_call_everything(features: OpenAI) -> None:
    shop = "The bicycle shop in Ghent opens at nine."
    store = store_with(features, shop=shop, ada="Ada eats lasagne.")
    run = _played(
        features,
        "everything",
        *(function("f"), function("g"), CODE, SEARCH),
        output="done",
        tool_resources={"file_search": {"vector_store_ids": [store]}},
    )
    assert _said(features, run).startswith(f"done done done drawn {shop} 【")
    calls = _calls(features, run)
    assert [call["type"] for call in calls] == ["function"] * 3 + ["code_interpreter"] * 2 + ["file_search"] * 2
    assert [call["function"]["arguments"] for call in calls[:3]] == ['{"n": 1}', '{"n": 2}', "{}"]
    real, canned = (call["code_interpreter"] for call in calls[3:5])
    assert real["outputs"] == [{"type": "logs", "logs": "42\n"}]
    assert canned["input"] == "draw()"
    assert [output["type"] for output in canned["outputs"]] == ["logs", "image", "image"]
    first, last = reversed(features.beta.threads.messages.list(run.thread_id, run_id=run.id).data)
    assert [block.to_dict()["text"] for block in first.content] == [{"value": "Let me look.", "annotations": []}]
    assert [block.type for block in last.content] == ["image_file", "image_file", "text"]
    (annotation,) = last.content[-1].text.annotations  # type: ignore[union-attr]
    assert annotation.type == "file_citation"


def test_canned_code_needs_no_sandbox(tmp_path: Path) -> None:
    server = _serve(tmp_path, FEATURES, "--sandbox", "off")
    with official_client(server) as client:
        run = _played(client, "canned", CODE)
        assert _said(client, run) == "It says drawn."
        (call,) = _calls(client, run)
        logs, image = call["code_interpreter"]["outputs"]
        assert logs == {"type": "logs", "logs": "drawn"}
        assert client.files.content(image["image"]["file_id"]).read().startswith(b"\x89PNG")
    assert server.stop() == 0


def test_a_run_that_fails_in_mid_answer(features: OpenAI) -> None:
    run = _played(features, "broken off")
    assert (run.status, run.last_error.code, run.last_error.message) == ("failed", "server_error", "No broken today.")
    (message,) = features.beta.threads.messages.list(run.thread_id, run_id=run.id).data
    assert message.status == "incomplete"
    assert message.content[0].text.value == "I was about to"  # type: ignore[union-attr]


def test_a_refusal(features: OpenAI) -> None:
    run = _played(features, "refuse")
    (message,) = features.beta.threads.messages.list(run.thread_id, run_id=run.id).data
    assert [block.to_dict() for block in message.content] == [{"type": "refusal", "refusal": "I will not."}]


@pytest.mark.parametrize(("text", "status"), [("too long", "incomplete"), ("filtered", "failed")])
def test_an_answer_that_stops_early(text: str, status: str, features: OpenAI) -> None:
    run = _played(features, text)
    assert run.status == status
    (message,) = features.beta.threads.messages.list(run.thread_id, run_id=run.id).data
    assert message.status == "incomplete"
    assert message.content[0].text.value == "And so"  # type: ignore[union-attr]


def test_pieces_and_usage(features: OpenAI, features_server: ServerProcess) -> None:
    assistant = assistant_with(features, "gpt-4o")
    events = stream(features_server, f"/threads/{thread_with(features, 'five')}/runs", assistant_id=assistant)
    deltas = [delta["delta"]["content"][0]["text"]["value"] for delta in events.of("thread.message.delta")]
    assert [delta for delta in deltas if delta] == ["abcde", "fghij", "kl"]
    (run,) = events.of("thread.run.completed")
    assert (run["usage"]["prompt_tokens"], run["usage"]["completion_tokens"]) == (7, 3)


def test_delays(features: OpenAI) -> None:
    started = time.monotonic()
    assert _said(features, _played(features, "slow")) == "abcdef"
    assert time.monotonic() - started >= 0.2 + 2 * 0.1


def test_arguments_have_the_types_that_the_function_asks_for(features: OpenAI) -> None:
    properties = {
        "n": {"type": "integer"},
        "on": {"type": "boolean"},
        "id": {"type": "string"},
        "t": {"type": "integer"},
    }
    tool = function("f")
    tool["function"]["parameters"]["properties"] = properties
    run = _played(features, "set 5 true 0012", tool, output="")
    assert run.status == "failed"  # its rule has no second turn
    (call,) = _calls(features, run)
    assert call["function"]["arguments"] == '{"n": 5, "on": true, "id": "0012", "t": "1"}'


def test_arguments_may_be_no_json(features: OpenAI) -> None:
    run = _played(features, "raw 7", function("f"))
    (call,) = _calls(features, run)
    assert call["function"]["arguments"] == '{"n": 7'


def test_metadata_of_run_thread_and_assistant(features: OpenAI) -> None:
    assistant = assistant_with(features, "gpt-4o", name="Bob", metadata={"of": "assistant", "by": "assistant"})
    thread = features.beta.threads.create(
        messages=[{"role": "user", "content": "whose"}], metadata={"of": "thread", "in": "thread"}
    )
    run = features.beta.threads.runs.create_and_poll(
        thread_id=thread.id, assistant_id=assistant, metadata={"of": "run"}
    )
    assert _said(features, run) == "run, Bob"


def test_a_restart_goes_on(tmp_path: Path) -> None:
    server = _serve(tmp_path, FEATURES)
    with official_client(server) as client:
        assistant = assistant_with(client, "gpt-4o", [function("f")])
        run = client.beta.threads.runs.create_and_poll(
            thread_id=thread_with(client, "count to 10"), assistant_id=assistant
        )
        assert run.status == "requires_action"
    server.kill()
    server.start()
    with official_client(server) as client:
        run = client.beta.threads.runs.retrieve(run.id, thread_id=run.thread_id)
        run = _answered(client, run, "12")
        assert _said(client, run) == "From 12 to 12."
        assert [call["function"]["arguments"] for call in _calls(client, run)] == ['{"n": "10"}', '{"n": 12}']
    assert server.stop() == 0


# ---------------------------------------------------------------------------------------------------------------------
# Starting


def test_an_upstream_behind_a_script(tmp_path: Path, upstream: ScriptedUpstream) -> None:
    script = "on_miss: upstream\nrules: [{when: {user: mine}, reply: scripted}]"
    server = _serve(tmp_path, script, "--upstream", upstream.url)
    model = upstream.script(Reply(calls=[("f", {})]), Reply("from afar"))
    with official_client(server) as client:
        assistant = assistant_with(client, model, [function("f")])
        said = []
        for text in ("mine", "theirs"):
            thread = thread_with(client, text)
            run = client.beta.threads.runs.create_and_poll(thread_id=thread, assistant_id=assistant)
            said.append(_said(client, _answered(client, run, "1")))
        assert said == ["scripted", "from afar"]
        # What is no conversation goes past the script.
        assert client.embeddings.create(model="m", input="x", encoding_format="float").data
    assert server.stop() == 0
    with pytest.raises(AssertionError, match="on_miss: upstream needs --upstream URL"):
        _serve(tmp_path, script)


def test_a_script_that_is_wrong_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"features.yaml:1:11: error: unknown key 'repply'"):
        _serve(tmp_path, "rules: [{ repply: a }]")
    with pytest.raises(AssertionError, match="nowhere.yaml: No such file"):
        _serve(tmp_path, tmp_path / "nowhere.yaml")


def test_errors_of_chat_completions(features: OpenAI, example: OpenAI) -> None:
    with pytest.raises(openai.InternalServerError, match=r"No rule of features.yaml matches: user \"x\""):
        features.chat.completions.create(model="m", messages=[{"role": "user", "content": "x"}])
