"""The official Python client with asyncio; the last line that it prints is what it saw."""
# mypy: ignore-errors
# It must run with every version, so it fits the types of none.

import asyncio
import json
import sys

import openai
from openai import AsyncAssistantEventHandler, AsyncOpenAI
from openai_python import GET_WEATHER, MODEL, WEATHER, vector_stores


class EventHandler(AsyncAssistantEventHandler):
    """Puts together what the deltas bring."""

    def __init__(self):
        super().__init__()
        self.text = ""
        self.logs = ""

    async def on_text_delta(self, delta, snapshot):
        self.text += delta.value or ""

    async def on_tool_call_delta(self, delta, snapshot):
        if delta.type == "code_interpreter" and delta.code_interpreter.outputs:
            self.logs += "".join(output.logs for output in delta.code_interpreter.outputs if output.type == "logs")


async def ask(client, question, *tools, **settings):
    """An assistant, and a thread with a question for it."""
    assistant = await client.beta.assistants.create(
        name="Helper", instructions="You help.", model=MODEL, tools=tools, **settings
    )
    thread = await client.beta.threads.create(messages=[{"role": "user", "content": question}])
    return {"thread_id": thread.id, "assistant_id": assistant.id}


async def poll(client, asked):
    return await client.beta.threads.runs.create_and_poll(**asked, poll_interval_ms=50)


async def listen(manager):
    async with manager as events:
        await events.until_done()
    return events


async def stream(client, asked):
    return await listen(client.beta.threads.runs.stream(**asked, event_handler=EventHandler()))


async def answer(client, run):
    """The last message of a thread, and its text."""
    message = (await client.beta.threads.messages.list(thread_id=run.thread_id)).data[0]
    assert message.role == "assistant", message
    return message, "".join(part.text.value for part in message.content if part.type == "text")


async def both(client, events):
    """What the stream's helper put together, and the same as it is stored."""
    last = await events.get_final_run()
    run = await client.beta.threads.runs.retrieve(run_id=last.id, thread_id=last.thread_id)
    message, text = await answer(client, run)
    streamed = [last, *(await events.get_final_messages())]
    return {
        "streamed": [one.model_dump(exclude_unset=True) for one in streamed] + [events.text],
        "polled": [one.model_dump(exclude_unset=True) for one in (run, message)] + [text],
    }


def answers(run):
    """What the functions that a run waits for are given, and what they answer."""
    assert run.status == "requires_action"
    calls = run.required_action.submit_tool_outputs.tool_calls
    given = [[call.function.name, json.loads(call.function.arguments)] for call in calls]
    outputs = [
        {"tool_call_id": call.id, "output": WEATHER[arguments["city"]]}
        for call, (_, arguments) in zip(calls, given, strict=True)
    ]
    return given, {"run_id": run.id, "thread_id": run.thread_id, "tool_outputs": outputs}


async def text(client):
    return {"text": (await answer(client, await poll(client, await ask(client, "hello"))))[1]}


async def stream_text(client):
    events = await stream(client, await ask(client, "hello"))
    return {"text": events.text} | await both(client, events)


async def function(client):
    asked = await ask(client, "What is the weather in Ghent and Oslo?", GET_WEATHER)
    calls, outputs = answers(await poll(client, asked))
    run = await client.beta.threads.runs.submit_tool_outputs_and_poll(**outputs, poll_interval_ms=50)
    return {"text": (await answer(client, run))[1], "calls": calls}


async def stream_function(client):
    first = await stream(client, await ask(client, "What is the weather in Ghent and Oslo?", GET_WEATHER))
    calls, outputs = answers(await first.get_final_run())
    runs = client.beta.threads.runs
    second = await listen(runs.submit_tool_outputs_stream(**outputs, event_handler=EventHandler()))
    return {"text": second.text, "calls": calls} | await both(client, second)


async def ask_for_code(client):
    with open("sales.csv", "rb") as sales:  # noqa: ASYNC230
        file = await client.files.create(file=sales, purpose="assistants")
    resources = {"code_interpreter": {"file_ids": [file.id]}}
    return await ask(client, "Which month was best?", {"type": "code_interpreter"}, tool_resources=resources)


async def worked(client, run):
    """What the code printed, and the size of the chart that it drew."""
    steps = client.beta.threads.runs.steps.list(thread_id=run.thread_id, run_id=run.id, order="asc")
    calls = [call async for step in steps if step.type == "tool_calls" for call in step.step_details.tool_calls]
    outputs = [output for call in calls for output in call.code_interpreter.outputs]
    (image,) = [output.image.file_id for output in outputs if output.type == "image"]
    chart = (await client.files.content(image)).read()
    logs = "".join(output.logs for output in outputs if output.type == "logs")
    return {"text": (await answer(client, run))[1], "logs": logs, "image": len(chart)}


async def code(client):
    return await worked(client, await poll(client, await ask_for_code(client)))


async def stream_code(client):
    events = await stream(client, await ask_for_code(client))
    result = await worked(client, await events.get_final_run())
    assert events.logs == result["logs"]
    return result | await both(client, events)


async def ask_for_food(client):
    stores = vector_stores(client)
    store = await stores.create(name="Foods")
    with open("foods.txt", "rb") as foods:  # noqa: ASYNC230
        await stores.files.upload_and_poll(vector_store_id=store.id, file=foods, poll_interval_ms=50)
    resources = {"file_search": {"vector_store_ids": [store.id]}}
    return await ask(client, "What is Ada's favourite food?", {"type": "file_search"}, tool_resources=resources)


async def found(client, run):
    message, value = await answer(client, run)
    (annotation,) = message.content[0].text.annotations
    file = await client.files.retrieve(annotation.file_citation.file_id)
    return {"text": value, "citation": file.filename}


async def search(client):
    return await found(client, await poll(client, await ask_for_food(client)))


async def stream_search(client):
    events = await stream(client, await ask_for_food(client))
    return await found(client, await events.get_final_run()) | await both(client, events)


async def incomplete(client):
    run = await poll(client, await ask(client, "hello"))
    return {"text": (await answer(client, run))[1], "status": run.status}


async def stream_incomplete(client):
    events = await stream(client, await ask(client, "hello"))
    return {"text": events.text, "status": (await events.get_final_run()).status} | await both(client, events)


async def stream_failed(client):
    events = await stream(client, await ask(client, "hello"))
    return {"text": events.text, "status": (await events.get_final_run()).status} | await both(client, events)


async def stream_cancel(client):
    cancelled = False
    asked = await ask(client, "hello")
    async with client.beta.threads.runs.stream(**asked, event_handler=EventHandler()) as events:
        async for event in events:
            if event.event == "thread.message.delta" and not cancelled:
                run = events.current_run
                cancelled = await client.beta.threads.runs.cancel(run_id=run.id, thread_id=run.thread_id)
    return {"text": events.text, "status": (await events.get_final_run()).status} | await both(client, events)


async def cancel(client):
    run = await client.beta.threads.runs.create(**await ask(client, "hello"))
    where = {"run_id": run.id, "thread_id": run.thread_id}
    while (await client.beta.threads.runs.retrieve(**where)).status != "in_progress":  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    await client.beta.threads.runs.cancel(**where)
    return {"status": (await client.beta.threads.runs.poll(**where, poll_interval_ms=50)).status}


async def pages(client):
    thread = await client.beta.threads.create()
    for number in range(25):
        await client.beta.threads.messages.create(thread_id=thread.id, role="user", content=str(number))
    messages = client.beta.threads.messages.list(thread_id=thread.id, limit=10, order="asc")
    return {"texts": [message.content[0].text.value async for message in messages]}


async def raised(call):
    try:
        await call
    except openai.APIStatusError as error:
        return {"error": type(error).__name__, "message": error.body["message"], "request_id": error.request_id}
    raise AssertionError("no error")


async def error(client):
    return {
        "missing": await raised(client.beta.assistants.retrieve("asst_missing")),
        "refused": await raised(client.beta.assistants.list(limit=101)),
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


async def play(client):
    """Do what the command line names."""
    print(json.dumps(await FEATURES[sys.argv[1]](client)))


if __name__ == "__main__":
    asyncio.run(play(AsyncOpenAI()))
