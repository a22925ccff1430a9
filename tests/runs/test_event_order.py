"""The exact event order of the hosted API's streams [R]."""

import pytest
from openai import OpenAI

from tests.runs.streams import CODE, assistant_with, function, stream, thread_with
from tests.scripted_upstream import Reply, ScriptedUpstream
from tests.server_process import ServerProcess

BEGIN = ["run.created", "run.queued", "run.in_progress"]
STEP = ["run.step.created", "run.step.in_progress"]
MESSAGE = [*STEP, "message.created", "message.in_progress", "message.delta", "message.completed", "run.step.completed"]
END = ["run.completed", "done"]


@pytest.mark.event(
    "thread.run.created",
    "thread.run.queued",
    "thread.run.in_progress",
    "thread.run.completed",
    "thread.run.step.created",
    "thread.run.step.in_progress",
    "thread.run.step.completed",
    "thread.message.created",
    "thread.message.in_progress",
    "thread.message.delta",
    "thread.message.completed",
    "done",
)
def test_text(client: OpenAI, server: ServerProcess, upstream: ScriptedUpstream) -> None:
    model = upstream.script(Reply(pieces=["Hello", ", ", "wörld"]))
    thread = thread_with(client)
    events = stream(server, f"/threads/{thread}/runs", assistant_id=assistant_with(client, model))
    assert events.collapsed() == [*BEGIN, *MESSAGE, *END]
    deltas = [delta["delta"]["content"][0] for delta in events.of("thread.message.delta")]
    assert deltas == [
        {"index": 0, "type": "text", "text": {"value": "Hello", "annotations": []}},
        {"index": 0, "type": "text", "text": {"value": ", "}},
        {"index": 0, "type": "text", "text": {"value": "wörld"}},
    ]
    (created,), (completed,) = events.of("thread.message.created"), events.of("thread.message.completed")
    assert (created["status"], created["content"]) == ("in_progress", [])
    assert completed["content"] == [{"type": "text", "text": {"value": "Hello, wörld", "annotations": []}}]
    (run,) = events.of("thread.run.completed")
    assert run["usage"]["total_tokens"] == 15
    assert run["expires_at"] is None
    assert events.of("thread.run.in_progress")[0]["expires_at"] == run["created_at"] + 600


@pytest.mark.event("thread.run.requires_action", "thread.run.step.delta", "thread.run.step.completed")
def test_function_then_submit(client: OpenAI, server: ServerProcess, upstream: ScriptedUpstream) -> None:
    model = upstream.script(Reply(calls=[("get_weather", {"city": "Paris"})]), Reply("18 degrees."))
    assistant = assistant_with(client, model, [function("get_weather")])
    thread = thread_with(client)
    events = stream(server, f"/threads/{thread}/runs", assistant_id=assistant)
    assert events.collapsed() == [*BEGIN, *STEP, "run.step.delta", "run.requires_action", "done"]
    calls = [
        call for delta in events.of("thread.run.step.delta") for call in delta["delta"]["step_details"]["tool_calls"]
    ]
    call_id = calls[0]["id"]
    assert calls[0] == {
        "index": 0,
        "id": call_id,
        "type": "function",
        "function": {"name": "get_weather", "arguments": "", "output": None},
    }
    assert all(set(call) == {"index", "type", "function"} for call in calls[1:])
    assert "".join(call["function"]["arguments"] for call in calls) == '{"city":"Paris"}'
    assert events.of("thread.run.step.created")[0]["step_details"] == {"type": "tool_calls", "tool_calls": []}
    (run,) = events.of("thread.run.requires_action")
    assert run["usage"] is None
    assert run["required_action"] == {
        "type": "submit_tool_outputs",
        "submit_tool_outputs": {
            "tool_calls": [
                {
                    "id": call_id,
                    "type": "function",
                    "function": {"name": "get_weather", "arguments": '{"city":"Paris"}'},
                }
            ]
        },
    }
    path = f"/threads/{thread}/runs/{run['id']}/submit_tool_outputs"
    rest = stream(server, path, tool_outputs=[{"tool_call_id": call_id, "output": "18"}])
    assert rest.collapsed() == ["run.step.completed", "run.queued", "run.in_progress", *MESSAGE, *END]
    step = rest.of("thread.run.step.completed")[0]
    assert step["step_details"]["tool_calls"][0]["function"]["output"] == "18"
    assert step["usage"]["total_tokens"] == 15
    assert rest.of("thread.run.completed")[0]["usage"]["total_tokens"] == 30
    replayed = upstream.requests[model][1]["messages"]
    assert [message["role"] for message in replayed] == ["system", "user", "assistant", "tool"]
    assert replayed[2]["tool_calls"][0]["id"] == replayed[3]["tool_call_id"] == call_id
    assert replayed[3]["content"] == "18"


@pytest.mark.event("thread.run.step.delta")
def test_code_interpreter(client: OpenAI, server: ServerProcess, upstream: ScriptedUpstream) -> None:
    code = "print('mean', 2)\nimport matplotlib.pyplot as plt\nplt.plot([1, 2]); plt.show()"
    model = upstream.script(Reply(calls=[("code_interpreter", {"code": code})]), Reply("See the plot."))
    thread = thread_with(client)
    events = stream(server, f"/threads/{thread}/runs", assistant_id=assistant_with(client, model, [CODE]))
    assert events.collapsed() == [*BEGIN, *STEP, "run.step.delta", "run.step.completed", *MESSAGE, *END]
    calls = [
        call for delta in events.of("thread.run.step.delta") for call in delta["delta"]["step_details"]["tool_calls"]
    ]
    assert calls[0] == {
        "index": 0,
        "id": calls[0]["id"],
        "type": "code_interpreter",
        "code_interpreter": {"input": "", "outputs": []},
    }
    typed = [call["code_interpreter"]["input"] for call in calls[1:] if "input" in call["code_interpreter"]]
    assert "".join(typed) == code
    assert len(typed) > 5
    outputs = [call["code_interpreter"]["outputs"] for call in calls[1:] if "outputs" in call["code_interpreter"]]
    assert [output["index"] for (output,) in outputs] == [0, 1]
    assert outputs[0][0]["type"] == "logs"
    file_id = outputs[1][0]["image"]["file_id"]
    step = events.of("thread.run.step.completed")[0]
    assert step["step_details"]["tool_calls"] == [
        {
            "id": calls[0]["id"],
            "type": "code_interpreter",
            "code_interpreter": {
                "input": code,
                "outputs": [
                    {"type": "logs", "logs": outputs[0][0]["logs"]},
                    {"type": "image", "image": {"file_id": file_id}},
                ],
            },
        }
    ]
    assert "mean 2" in outputs[0][0]["logs"]
    (message,) = events.of("thread.message.completed")
    assert [part["type"] for part in message["content"]] == ["image_file", "text"]
    assert message["content"][0]["image_file"]["file_id"] == file_id
    assert client.files.retrieve(file_id).purpose == "assistants_output"
    assert client.files.content(file_id).read().startswith(b"\x89PNG")


@pytest.mark.event("thread.created")
def test_create_thread_and_run(client: OpenAI, server: ServerProcess, upstream: ScriptedUpstream) -> None:
    assistant = assistant_with(client, upstream.script(Reply("Hi.")))
    body = {"messages": [{"role": "user", "content": "hello"}], "metadata": {"a": "1"}}
    events = stream(server, "/threads/runs", assistant_id=assistant, thread=body)
    assert events.collapsed() == ["created", *BEGIN, *MESSAGE, *END]
    assert events.objects[0]["metadata"] == {"a": "1"}
    assert events.objects[1]["thread_id"] == events.objects[0]["id"]
