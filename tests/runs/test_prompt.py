"""From thread to prompt, seen from the model's side."""

import base64
from pathlib import Path
from typing import Any

import pytest
from openai import OpenAI

from tests.conftest import official_client
from tests.runs.streams import CODE, assistant_with, function, thread_with
from tests.scripted_upstream import JSON, Reply, ScriptedUpstream
from tests.server_process import ServerProcess

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def _asked(
    client: OpenAI, upstream: ScriptedUpstream, thread: str, tools: list[JSON] | None = None, **run: object
) -> JSON:
    model = upstream.script(Reply("ok"))
    assistant = assistant_with(client, model, tools)
    done = client.beta.threads.runs.create_and_poll(thread_id=thread, assistant_id=assistant, **run)  # type: ignore[arg-type]
    assert done.status == "completed", done.last_error
    (request,) = upstream.requests[model]
    return request


def test_what_was_not_set_is_not_sent(client: OpenAI, upstream: ScriptedUpstream) -> None:
    request = _asked(client, upstream, thread_with(client, "hello"))
    assert request["messages"] == [{"role": "system", "content": "Help."}, {"role": "user", "content": "hello"}]
    assert set(request) == {"model", "messages", "stream", "stream_options"}


def test_settings_reach_the_model(client: OpenAI, upstream: ScriptedUpstream) -> None:
    schema = {"name": "s", "schema": {"type": "object"}}
    request = _asked(
        client,
        upstream,
        thread_with(client),
        [function("f")],
        temperature=0.2,
        top_p=0.5,
        reasoning_effort="low",
        parallel_tool_calls=False,
        tool_choice={"type": "function", "function": {"name": "f"}},
        response_format={"type": "json_schema", "json_schema": schema},
        max_completion_tokens=300,
    )
    assert (request["temperature"], request["top_p"], request["reasoning_effort"]) == (0.2, 0.5, "low")
    assert request["parallel_tool_calls"] is False
    assert request["tool_choice"] == {"type": "function", "function": {"name": "f"}}
    assert request["response_format"] == {"type": "json_schema", "json_schema": schema}
    assert request["max_completion_tokens"] == 300
    assert request["tools"] == [function("f")]


def test_instructions(client: OpenAI, upstream: ScriptedUpstream) -> None:
    request = _asked(
        client,
        upstream,
        thread_with(client),
        instructions="Be kind.",
        additional_instructions="Be brief.",
        additional_messages=[{"role": "assistant", "content": "Hi."}, {"role": "user", "content": "And now?"}],
    )
    assert [(message["role"], message["content"]) for message in request["messages"]] == [
        ("system", "Be kind.\nBe brief."),
        ("user", "hi"),
        ("assistant", "Hi."),
        ("user", "And now?"),
    ]


def test_images_become_data_urls(client: OpenAI, upstream: ScriptedUpstream) -> None:
    image = client.files.create(file=("dot.png", PNG), purpose="vision")
    thread = client.beta.threads.create(
        messages=[
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "Which is it?"},
                    {"type": "image_file", "image_file": {"file_id": image.id, "detail": "low"}},
                    {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
                ],
            }
        ]
    )
    request = _asked(client, upstream, thread.id)
    encoded = base64.b64encode(PNG).decode()
    assert request["messages"][1]["content"] == [
        {"type": "text", "text": "Which is it?"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{encoded}", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "auto"}},
    ]


def test_the_model_is_told_of_the_files(client: OpenAI, upstream: ScriptedUpstream) -> None:
    files = [client.files.create(file=("sales.csv", b"x\n1\n"), purpose="assistants").id for _ in range(2)]
    attachments = [{"file_id": file, "tools": [CODE]} for file in files]
    request = _asked(client, upstream, thread_with(client, attachments=attachments), [CODE])
    assert request["messages"][0]["content"] == "Help.\n\nFiles in /mnt/data: sales.csv, sales_2.csv"
    (tool,) = request["tools"]
    assert tool["function"]["name"] == "code_interpreter"
    assert list(tool["function"]["parameters"]["properties"]) == ["code"]


def test_a_run_brings_files_in_the_place_of_its_assistants(client: OpenAI, upstream: ScriptedUpstream) -> None:
    one, two, three = (
        client.files.create(file=(f"{name}.csv", b"x\n1\n"), purpose="assistants").id
        for name in ("one", "two", "three")
    )
    model = upstream.script(Reply("ok"))
    resources: Any = [{"code_interpreter": {"file_ids": [file]}} for file in (one, two, three)]
    run = client.beta.threads.create_and_run_poll(
        assistant_id=assistant_with(client, model, [CODE], tool_resources=resources[0]),
        thread={"messages": [{"role": "user", "content": "hi"}], "tool_resources": resources[1]},
        tool_resources=resources[2],
    )
    assert run.to_dict()["tool_resources"] == resources[2]
    told = upstream.requests[model][0]["messages"][0]["content"]
    assert told.endswith("Files in /mnt/data: three.csv, two.csv")
    of_thread = client.beta.threads.retrieve(run.thread_id).tool_resources
    assert of_thread is not None
    assert of_thread.to_dict() == resources[1]
    client.files.delete(three)
    left = client.beta.threads.runs.retrieve(run.id, thread_id=run.thread_id).to_dict()["tool_resources"]
    assert left == {"code_interpreter": {"file_ids": []}}


def test_a_users_function_keeps_its_name(client: OpenAI, upstream: ScriptedUpstream) -> None:
    request = _asked(client, upstream, thread_with(client), [CODE, function("code_interpreter")])
    assert [tool["function"]["name"] for tool in request["tools"]] == ["code_interpreter_2", "code_interpreter"]


def test_last_messages(client: OpenAI, upstream: ScriptedUpstream) -> None:
    thread = client.beta.threads.create(messages=[{"role": "user", "content": str(number)} for number in range(9)])
    request = _asked(client, upstream, thread.id, truncation_strategy={"type": "last_messages", "last_messages": 3})
    assert [message["content"] for message in request["messages"][1:]] == ["6", "7", "8"]


def test_auto_drops_the_middle(client: OpenAI, upstream: ScriptedUpstream) -> None:
    thread = client.beta.threads.create(
        messages=[{"role": "user", "content": f"{number} " + "word " * 100} for number in range(9)]
    )
    request = _asked(client, upstream, thread.id, max_prompt_tokens=500)
    assert [message["content"][0] for message in request["messages"][1:]] == ["0", "7", "8"]


def test_a_window_holds_for_its_model(upstream: ScriptedUpstream, tmp_path: Path) -> None:
    model = upstream.script(Reply("ok"), Reply("ok"))
    flags = ("--models", f"tiny={model}", "--models", f"large={model}", "--context-windows", "tin*=500")
    server = ServerProcess(tmp_path / "data", "--upstream", upstream.url, *flags)
    with official_client(server) as client:
        assistant = assistant_with(client, "large")
        for run_model in ("large", "tiny"):  # a run's model, not its assistant's, decides
            messages: Any = [{"role": "user", "content": f"{number} " + "word " * 100} for number in range(9)]
            thread = client.beta.threads.create(messages=messages)
            client.beta.threads.runs.create_and_poll(thread_id=thread.id, assistant_id=assistant, model=run_model)
    assert server.stop() == 0
    seen = [[message["content"][0] for message in request["messages"][1:]] for request in upstream.requests[model]]
    assert seen == [list("012345678"), ["0", "7", "8"]]


@pytest.mark.parametrize(
    ("choice", "asked"),
    [
        ("none", "none"),
        ("auto", None),
        ("required", "required"),
        ({"type": "function", "function": {"name": "f"}}, {"type": "function", "function": {"name": "f"}}),
        ({"type": "code_interpreter"}, {"type": "function", "function": {"name": "code_interpreter"}}),
        ({"type": "file_search"}, {"type": "function", "function": {"name": "file_search"}}),
    ],
)
def test_tool_choices(choice: Any, asked: Any, client: OpenAI, upstream: ScriptedUpstream) -> None:
    tools = [CODE, {"type": "file_search"}, function("f")]
    request = _asked(client, upstream, thread_with(client), tools, tool_choice=choice)
    assert request.get("tool_choice") == asked


def test_a_forced_choice_holds_for_one_round(client: OpenAI, upstream: ScriptedUpstream) -> None:
    model = upstream.script(Reply(calls=[("code_interpreter", {"code": "1 + 1"})]), Reply("two"))
    run = client.beta.threads.runs.create_and_poll(
        thread_id=thread_with(client),
        assistant_id=assistant_with(client, model, [CODE]),
        tool_choice={"type": "code_interpreter"},
    )
    assert run.status == "completed"
    first, second = upstream.requests[model]
    assert first["tool_choice"] == {"type": "function", "function": {"name": "code_interpreter"}}
    assert "tool_choice" not in second
    assert second["messages"][-1]["content"].strip() == "2"


def test_text_and_calls_of_one_turn_are_replayed_as_one(client: OpenAI, upstream: ScriptedUpstream) -> None:
    model = upstream.script(
        Reply("I will compute.", calls=[("code_interpreter", {"code": "print(3)"})]), Reply("three")
    )
    run = client.beta.threads.runs.create_and_poll(
        thread_id=thread_with(client), assistant_id=assistant_with(client, model, [CODE])
    )
    assert run.status == "completed"
    said, answer = upstream.requests[model][1]["messages"][-2:]
    assert said["content"] == "I will compute."
    assert answer["tool_call_id"] == said["tool_calls"][0]["id"]
    listed = client.beta.threads.messages.list(run.thread_id, order="asc").data
    assert [message.content[0].to_dict()["text"] for message in listed[1:]] == [
        {"value": "I will compute.", "annotations": []},
        {"value": "three", "annotations": []},
    ]
