"""The auto model behind the whole server: functions, code and search in one run, through the official client."""

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from jsonschema import Draft202012Validator
from openai import OpenAI

from tests.conftest import official_client
from tests.runs.streams import CODE, JSON, assistant_with, thread_with
from tests.server_process import ServerProcess

SEARCH: JSON = {"type": "file_search"}
FOODS = "Ada's favourite food is lasagne. She eats it every Sunday with her neighbours."
PARAMETERS: dict[str, JSON] = {
    "get_weather": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "unit": {"anyOf": [{"enum": ["c", "f"]}, {"type": "null"}]}},
        "required": ["city", "unit"],
    },
    "save_tree": {
        "$defs": {
            "node": {
                "type": "object",
                "properties": {
                    "name": {"type": "string", "pattern": r"^[a-z]{3,}\d$"},
                    "children": {"type": "array", "items": {"$ref": "#/$defs/node"}},
                },
                "required": ["name", "children"],
            }
        },
        "type": "object",
        "properties": {"root": {"$ref": "#/$defs/node"}},
        "required": ["root"],
    },
    "ping": {"type": "object", "properties": {}},
}
FUNCTIONS: list[JSON] = [
    {"type": "function", "function": {"name": name, "parameters": parameters}}
    for name, parameters in PARAMETERS.items()
]
REPLY = {"type": "object", "properties": {"sunny": {"type": "boolean"}}, "required": ["sunny"]}
OUTPUTS = {"get_weather": '{"temp": 21}', "save_tree": "saved", "ping": "[1, NaN]"}


@pytest.fixture(scope="module")
def auto_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    process = ServerProcess(tmp_path_factory.mktemp("auto") / "data", "--stand-in", "auto")
    yield process
    assert process.stop() == 0, process.log()


@pytest.fixture(scope="module")
def auto(auto_server: ServerProcess) -> Iterator[OpenAI]:
    with official_client(auto_server) as client:
        yield client


def asked_calls(run: Any) -> list[Any]:
    assert run.status == "requires_action", run.last_error
    calls = run.required_action.submit_tool_outputs.tool_calls
    for call in calls:
        Draft202012Validator(PARAMETERS[call.function.name]).validate(json.loads(call.function.arguments))
    return list(calls)


def submit(client: OpenAI, run: Any) -> Any:
    outputs: Any = [{"tool_call_id": call.id, "output": OUTPUTS[call.function.name]} for call in asked_calls(run)]
    return client.beta.threads.runs.submit_tool_outputs_and_poll(
        run_id=run.id, thread_id=run.thread_id, tool_outputs=outputs
    )


def step_types(client: OpenAI, run: Any) -> list[list[str]]:
    """The types of the calls of each step, none for a message."""
    steps = client.beta.threads.runs.steps.list(run.id, thread_id=run.thread_id, order="asc")
    details = [step.to_dict()["step_details"] for step in steps]
    return [[call["type"] for call in one.get("tool_calls", [])] for one in details]  # type: ignore[attr-defined]


def answer(client: OpenAI, run: Any) -> Any:
    assert run.status == "completed", run.last_error
    return client.beta.threads.messages.list(run.thread_id, run_id=run.id).data[0].content[-1]


def test_every_tool_once(auto: OpenAI, auto_server: ServerProcess) -> None:
    store = auto.vector_stores.create(name="notes")
    auto.vector_stores.files.upload_and_poll(vector_store_id=store.id, file=("foods.txt", FOODS.encode()))
    data = auto.files.create(file=("sales.csv", b"month,revenue\nJan,12000\nMay,22000\n"), purpose="assistants")
    resources = {"file_search": {"vector_store_ids": [store.id]}, "code_interpreter": {"file_ids": [data.id]}}
    assistant = assistant_with(auto, "gpt-4o", [*FUNCTIONS, CODE, SEARCH], tool_resources=resources)
    run: Any = auto.beta.threads.runs.create_and_poll(
        thread_id=thread_with(auto, "What is Ada's favourite food in Paris?"), assistant_id=assistant
    )
    assert [call.function.name for call in asked_calls(run)] == list(PARAMETERS)
    assert json.loads(asked_calls(run)[0].function.arguments)["city"] == "Paris"
    run = submit(auto, run)
    assert step_types(auto, run) == [["function"] * 3, ["code_interpreter", "file_search"], []]
    text = answer(auto, run).text
    said = json.loads(text.value)
    assert list(said) == [*PARAMETERS, "code_interpreter", "file_search"]
    assert (said["get_weather"], said["save_tree"], said["ping"]) == ({"temp": 21}, "saved", "[1, NaN]")
    assert "total revenue: 34000" in said["code_interpreter"]
    (quoted,) = said["file_search"]
    assert quoted.startswith("Ada's favourite food is lasagne.")
    assert [note.type for note in text.annotations] == ["file_citation"]
    assert auto_server.health()["model"] == {"backend": "auto", "upstream": None}


def test_one_call_a_turn(auto: OpenAI) -> None:
    assistant = assistant_with(auto, "gpt-4o", [*FUNCTIONS[1:], CODE])
    run: Any = auto.beta.threads.runs.create_and_poll(
        thread_id=thread_with(auto), assistant_id=assistant, parallel_tool_calls=False
    )
    for name in ("save_tree", "ping"):
        assert [call.function.name for call in asked_calls(run)] == [name]
        run = submit(auto, run)
    assert step_types(auto, run) == [["function"], ["function"], ["code_interpreter"], []]
    assert json.loads(answer(auto, run).text.value)["code_interpreter"] == "files in /mnt/data: none\n"


def test_choices_and_formats(auto: OpenAI) -> None:
    assistant = assistant_with(auto, "gpt-4o", FUNCTIONS)
    thread = thread_with(auto)
    run: Any = auto.beta.threads.runs.create_and_poll(
        thread_id=thread, assistant_id=assistant, tool_choice={"type": "function", "function": {"name": "ping"}}
    )
    assert [call.function.name for call in asked_calls(run)] == ["ping"]
    auto.beta.threads.runs.cancel(run.id, thread_id=thread)
    form: Any = {"type": "json_schema", "json_schema": {"name": "w", "schema": REPLY}}
    run = auto.beta.threads.runs.create_and_poll(
        thread_id=thread_with(auto), assistant_id=assistant, tool_choice="none", response_format=form
    )
    Draft202012Validator(REPLY).validate(json.loads(answer(auto, run).text.value))
    run = auto.beta.threads.runs.create_and_poll(
        thread_id=thread_with(auto), assistant_id=assistant, tool_choice="none"
    )
    assert answer(auto, run).text.value == "{}"


def test_a_schema_that_nothing_satisfies_fails_the_run(auto: OpenAI) -> None:
    parameters = {"type": "object", "properties": {"size": {"type": "integer", "minimum": 3, "maximum": 2}}}
    never: Any = {"type": "function", "function": {"name": "fit", "parameters": parameters | {"required": ["size"]}}}
    run: Any = auto.beta.threads.runs.create_and_poll(
        thread_id=thread_with(auto), assistant_id=assistant_with(auto, "gpt-4o", [never])
    )
    assert (run.status, run.last_error.code) == ("failed", "invalid_prompt")
    assert "the arguments of fit" in run.last_error.message
    assert "in 'size'" in run.last_error.message
    hi: Any = [{"role": "user", "content": "hi"}]
    with pytest.raises(openai.BadRequestError, match="the arguments of fit"):
        auto.chat.completions.create(model="m", messages=hi, tools=[never])


def test_chat_completions(auto: OpenAI) -> None:
    messages: list[Any] = [{"role": "user", "content": "hi"}]
    tools: Any = FUNCTIONS
    raw = auto.chat.completions.with_raw_response.create(model="m", messages=messages, tools=tools)
    assert raw.headers["x-understudy-model"] == "auto"
    message: Any = raw.parse().choices[0].message
    calls = message.tool_calls
    assert [call.function.name for call in calls] == list(PARAMETERS)
    again: Any = auto.chat.completions.create(model="m", messages=messages, tools=tools).choices[0].message
    assert [call.function.arguments for call in again.tool_calls] == [call.function.arguments for call in calls]
    messages.append(message.to_dict())
    messages += [
        {"role": "tool", "tool_call_id": call.id, "content": OUTPUTS[call.function.name]} for call in message.tool_calls
    ]
    done = auto.chat.completions.create(model="m", messages=messages, tools=tools).choices[0].message
    assert json.loads(done.content or "") == {"get_weather": {"temp": 21}, "save_tree": "saved", "ping": "[1, NaN]"}
    required: Any = auto.chat.completions.create(model="m", messages=messages, tools=tools, tool_choice="required")
    assert len(required.choices[0].message.tool_calls) == 1
    assert [model.id for model in auto.models.list()] == ["understudy-auto"]
    assert auto.models.retrieve("gpt-4o").id == "gpt-4o"
