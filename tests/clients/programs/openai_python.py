"""The official Python client, from 1.30 on; the last line that it prints is what it saw."""
# mypy: ignore-errors
# It must run with every version, so it fits the types of none.

import json
import os
import sys
import time

import openai
from openai import AssistantEventHandler, OpenAI

MODEL = os.environ["UNDERSTUDY_MODEL"]
WEATHER = {"Ghent": "21 degrees, sunny", "Oslo": "12 degrees, rain"}
GET_WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


class EventHandler(AssistantEventHandler):
    """Puts together what the deltas bring."""

    def __init__(self):
        super().__init__()
        self.text = ""
        self.logs = ""
        self.calls_created = 0
        self.messages = {}
        self.steps = {}
        self.steps_done = {}

    def on_text_delta(self, delta, snapshot):
        self.text += delta.value or ""
        assert snapshot.value.endswith(delta.value or "")

    def on_message_delta(self, delta, snapshot):
        self.messages[snapshot.id] = snapshot.model_dump(exclude_unset=True)["content"]

    def on_tool_call_created(self, tool_call):
        self.calls_created += 1

    def on_tool_call_delta(self, delta, snapshot):
        if delta.type == "code_interpreter" and delta.code_interpreter.outputs:
            self.logs += "".join(output.logs for output in delta.code_interpreter.outputs if output.type == "logs")

    def on_run_step_delta(self, delta, snapshot):
        self.steps[snapshot.id] = snapshot.model_dump(exclude_unset=True)["step_details"]

    def on_run_step_done(self, run_step):
        self.steps_done[run_step.id] = run_step.model_dump(exclude_unset=True)


def vector_stores(client):
    return client.vector_stores if hasattr(client, "vector_stores") else client.beta.vector_stores


def ask(client, question, tools=(), attachments=None, **settings):
    """An assistant, and a thread with a question for it."""
    assistant = client.beta.assistants.create(
        name="Helper", instructions="You help.", model=MODEL, tools=list(tools), **settings
    )
    message = {"role": "user", "content": question}
    thread = client.beta.threads.create(messages=[message | ({"attachments": attachments} if attachments else {})])
    return {"thread_id": thread.id, "assistant_id": assistant.id}


def poll(client, asked, **settings):
    return client.beta.threads.runs.create_and_poll(**asked, poll_interval_ms=50, **settings)


def stream(client, asked, **settings):
    with client.beta.threads.runs.stream(**asked, event_handler=EventHandler(), **settings) as events:
        events.until_done()
    return events


def submit(client, run, how):
    """Call the functions that a run waits for, and hand in what they answer."""
    assert run.status == "requires_action"
    calls = run.required_action.submit_tool_outputs.tool_calls
    given = [[call.function.name, json.loads(call.function.arguments)] for call in calls]
    outputs = [
        {"tool_call_id": call.id, "output": WEATHER[arguments["city"]]}
        for call, (_, arguments) in zip(calls, given, strict=True)
    ]
    return given, how(run_id=run.id, thread_id=run.thread_id, tool_outputs=outputs)


def answer(client, run):
    """The last message of a thread, and its text."""
    message = client.beta.threads.messages.list(thread_id=run.thread_id).data[0]
    assert message.role == "assistant", message
    return message, "".join(part.text.value for part in message.content if part.type == "text")


def steps(client, run):
    return list(client.beta.threads.runs.steps.list(thread_id=run.thread_id, run_id=run.id, order="asc"))


def plain(value):
    """Without what only deltas have."""
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items() if key not in ("index", "quote")}
    return [plain(one) for one in value] if isinstance(value, list) else value


def both(client, *streams):
    """What the stream's helper put together, and the same as it is stored."""
    last = streams[-1]
    run = client.beta.threads.runs.retrieve(run_id=last.get_final_run().id, thread_id=last.get_final_run().thread_id)
    messages = list(client.beta.threads.messages.list(thread_id=run.thread_id, run_id=run.id, order="asc"))
    stored = {step.id: step.model_dump(exclude_unset=True) for step in steps(client, run)}
    deltas = {key: details for one in streams for key, details in one.steps.items()}
    streamed = {
        "run": last.get_final_run().model_dump(exclude_unset=True),
        "messages": [message.model_dump(exclude_unset=True) for message in last.get_final_messages()],
        "steps": {key: step for one in streams for key, step in one.steps_done.items()},
        "text": "".join(one.text for one in streams),
        "contents": [plain(content) for one in streams for content in one.messages.values()],
        "calls": {key: called(details) for key, details in deltas.items()},
    }
    polled = {
        "run": run.model_dump(exclude_unset=True),
        "messages": [message.model_dump(exclude_unset=True) for message in messages],
        "steps": stored,
        "text": "".join(part.text.value for one in messages for part in one.content if part.type == "text"),
        "contents": [plain(one.model_dump(exclude_unset=True)["content"]) for one in messages],
        "calls": {key: called(stored[key]["step_details"]) for key in deltas},
    }
    return {"streamed": streamed, "polled": polled}


def called(details):
    """The calls of a step as far as deltas tell; what a search found, and what a function answered, comes at once."""
    calls = plain(details["tool_calls"])
    for call in calls:
        call.get("function", {}).pop("output", None)
        call.get("file_search", {}).pop("results", None)
    return calls


def text(client):
    return {"text": answer(client, poll(client, ask(client, "hello")))[1]}


def stream_text(client):
    events = stream(client, ask(client, "hello"))
    return {"text": events.text} | both(client, events)


def function(client):
    asked = ask(client, "What is the weather in Ghent and Oslo?", [GET_WEATHER])
    calls, run = submit(client, poll(client, asked), client.beta.threads.runs.submit_tool_outputs_and_poll)
    assert run.status == "completed", run
    return {"text": answer(client, run)[1], "calls": calls}


def stream_function(client):
    first = stream(client, ask(client, "What is the weather in Ghent and Oslo?", [GET_WEATHER]))
    assert first.calls_created == 2
    second = EventHandler()

    def submit_stream(**outputs):
        with client.beta.threads.runs.submit_tool_outputs_stream(**outputs, event_handler=second) as events:
            events.until_done()

    calls, _ = submit(client, first.get_final_run(), submit_stream)
    return {"text": second.text, "calls": calls} | both(client, first, second)


def ask_for_code(client):
    with open("sales.csv", "rb") as sales:
        file = client.files.create(file=sales, purpose="assistants")
    tool = {"type": "code_interpreter"}
    return ask(client, "Which month was best?", [tool], tool_resources={"code_interpreter": {"file_ids": [file.id]}})


def worked(client, run):
    """What the code printed, and the size of the chart that it drew."""
    calls = [call for step in steps(client, run) if step.type == "tool_calls" for call in step.step_details.tool_calls]
    outputs = [output for call in calls for output in call.code_interpreter.outputs]
    (image,) = [output.image.file_id for output in outputs if output.type == "image"]
    chart = client.files.content(image).read()
    assert chart.startswith(b"\x89PNG")
    logs = "".join(output.logs for output in outputs if output.type == "logs")
    return {"text": answer(client, run)[1], "logs": logs, "image": len(chart)}


def code(client):
    return worked(client, poll(client, ask_for_code(client)))


def stream_code(client):
    events = stream(client, ask_for_code(client))
    result = worked(client, events.get_final_run())
    assert events.logs == result["logs"]
    return result | both(client, events)


def ask_for_food(client):
    stores = vector_stores(client)
    store = stores.create(name="Foods", expires_after={"anchor": "last_active_at", "days": 1})
    with open("foods.txt", "rb") as foods:
        batch = stores.file_batches.upload_and_poll(vector_store_id=store.id, files=[foods], poll_interval_ms=50)
    assert batch.file_counts.completed == 1, batch
    return ask(
        client,
        "What is Ada's favourite food?",
        [{"type": "file_search"}],
        tool_resources={"file_search": {"vector_store_ids": [store.id]}},
    )


def found(client, run):
    message, value = answer(client, run)
    (annotation,) = message.content[0].text.annotations
    assert annotation.text in value
    return {"text": value, "citation": client.files.retrieve(annotation.file_citation.file_id).filename}


def search(client):
    return found(client, poll(client, ask_for_food(client)))


def stream_search(client):
    events = stream(client, ask_for_food(client))
    return found(client, events.get_final_run()) | both(client, events)


def incomplete(client):
    run = poll(client, ask(client, "hello"), max_completion_tokens=1000)
    return {"text": answer(client, run)[1], "status": run.status}


def stream_incomplete(client):
    events = stream(client, ask(client, "hello"), max_completion_tokens=1000)
    run = events.get_final_run()
    assert run.incomplete_details.reason == "max_completion_tokens"
    return {"text": events.text, "status": run.status} | both(client, events)


def stream_failed(client):
    events = stream(client, ask(client, "hello"))
    return {"text": events.text, "status": events.get_final_run().status} | both(client, events)


def stream_cancel(client):
    cancelled = False
    with client.beta.threads.runs.stream(**ask(client, "hello"), event_handler=EventHandler()) as events:
        for event in events:
            if event.event == "thread.message.delta" and not cancelled:
                run = events.current_run
                cancelled = client.beta.threads.runs.cancel(run_id=run.id, thread_id=run.thread_id)
    return {"text": events.text, "status": events.get_final_run().status} | both(client, events)


def cancel(client):
    run = client.beta.threads.runs.create(**ask(client, "hello"))
    where = {"run_id": run.id, "thread_id": run.thread_id}
    while client.beta.threads.runs.retrieve(**where).status != "in_progress":
        time.sleep(0.02)
    assert client.beta.threads.runs.cancel(**where).status in ("cancelling", "cancelled")
    return {"status": client.beta.threads.runs.poll(**where, poll_interval_ms=50).status}


def pages(client):
    thread = client.beta.threads.create()
    for number in range(25):
        client.beta.threads.messages.create(thread_id=thread.id, role="user", content=str(number))
    messages = client.beta.threads.messages.list(thread_id=thread.id, limit=10, order="asc")
    return {"texts": [message.content[0].text.value for message in messages]}


def raised(call):
    try:
        call()
    except openai.APIStatusError as error:
        return {"error": type(error).__name__, "message": error.body["message"], "request_id": error.request_id}
    raise AssertionError("no error")


def error(client):
    return {
        "missing": raised(lambda: client.beta.assistants.retrieve("asst_missing")),
        "refused": raised(lambda: client.beta.assistants.list(limit=101)),
    }


FEATURES = {
    "text": text,
    "stream": stream_text,
    "function": function,
    "stream_function": stream_function,
    "code": code,
    "stream_code": stream_code,
    "search": search,
    "stream_search": stream_search,
    "incomplete": incomplete,
    "stream_incomplete": stream_incomplete,
    "stream_failed": stream_failed,
    "stream_cancel": stream_cancel,
    "cancel": cancel,
    "pages": pages,
    "error": error,
}


def play(client):
    """Do what the command line names."""
    print(json.dumps(FEATURES[sys.argv[1]](client)))


if __name__ == "__main__":
    play(OpenAI())
