"""LiteLLM's assistants functions; the last line that it prints is what it saw."""
# mypy: ignore-errors

import json
import os
import sys
import warnings

# Its prices of models come with it, not from the network.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import litellm
import openai
from openai import AssistantEventHandler, OpenAI

warnings.simplefilter("ignore")
MODEL = os.environ["UNDERSTUDY_MODEL"]


class EventHandler(AssistantEventHandler):
    """Puts together what the deltas bring."""

    def __init__(self):
        super().__init__()
        self.text, self.logs = "", ""

    def on_text_delta(self, delta, snapshot):
        self.text += delta.value or ""

    def on_tool_call_delta(self, delta, snapshot):
        if delta.type == "code_interpreter" and delta.code_interpreter.outputs:
            self.logs += "".join(output.logs for output in delta.code_interpreter.outputs if output.type == "logs")


def ask(question, *tools, **settings):
    """A thread with a question, and an assistant for it."""
    assistant = litellm.create_assistants(
        custom_llm_provider="openai", model=MODEL, name="Helper", instructions="You help.", tools=list(tools)
    )
    thread = litellm.create_thread(custom_llm_provider="openai")
    litellm.add_message(custom_llm_provider="openai", thread_id=thread.id, role="user", content=question, **settings)
    return {"custom_llm_provider": "openai", "thread_id": thread.id, "assistant_id": assistant.id}


def ask_about(path, tool, question):
    with open(path, "rb") as content:
        file = litellm.create_file(file=content, purpose="assistants", custom_llm_provider="openai")
    return ask(question, {"type": tool}, attachments=[{"file_id": file.id, "tools": [{"type": tool}]}])


def poll(asked):
    run = litellm.run_thread(**asked)
    assert run.status == "completed", run
    return run


def stream_run(asked):
    """What was heard, and the status at the end."""
    with litellm.run_thread_stream(**asked, event_handler=EventHandler()) as events:
        events.until_done()
    return events, events.current_run.status


def answer(asked):
    """The last message of a thread, and its text."""
    messages = litellm.get_messages(custom_llm_provider="openai", thread_id=asked["thread_id"]).data
    assert messages[0].role == "assistant", messages
    return messages[0], "".join(part.text.value for part in messages[0].content if part.type == "text")


def chart(message):
    """How large the chart is that a message shows."""
    (image,) = [part.image_file.file_id for part in message.content if part.type == "image_file"]
    return len(litellm.file_content(file_id=image, custom_llm_provider="openai").content)


def cited(message):
    (part,) = message.content
    (citation,) = part.text.annotations
    file = litellm.file_retrieve(file_id=citation.file_citation.file_id, custom_llm_provider="openai")
    return file.filename


def text():
    asked = ask("hello")
    poll(asked)
    return {"text": answer(asked)[1]}


def stream():
    asked = ask("hello")
    heard, _ = stream_run(asked)
    return {"text": heard.text, "streamed": heard.text, "polled": answer(asked)[1]}


def code():
    asked = ask_about("sales.csv", "code_interpreter", "Which month was best?")
    run = poll(asked)
    message, told = answer(asked)
    # LiteLLM lists no steps.
    step, *_ = OpenAI().beta.threads.runs.steps.list(thread_id=run.thread_id, run_id=run.id, order="asc")
    outputs = step.step_details.tool_calls[0].code_interpreter.outputs
    logs = "".join(output.logs for output in outputs if output.type == "logs")
    return {"text": told, "logs": logs, "image": chart(message)}


def stream_code():
    asked = ask_about("sales.csv", "code_interpreter", "Which month was best?")
    heard, _ = stream_run(asked)
    message, polled = answer(asked)
    return {
        "text": heard.text,
        "logs": heard.logs,
        "image": chart(message),
        "streamed": heard.text,
        "polled": polled,
    }


def search():
    asked = ask_about("foods.txt", "file_search", "What does Ada like?")
    poll(asked)
    message, told = answer(asked)
    return {"text": told, "citation": cited(message)}


def stream_search():
    asked = ask_about("foods.txt", "file_search", "What does Ada like?")
    heard, _ = stream_run(asked)
    message, polled = answer(asked)
    return {"text": heard.text, "citation": cited(message), "streamed": heard.text, "polled": polled}


def incomplete():
    asked = ask("hello")
    heard, status = stream_run(asked)
    return {"text": heard.text, "status": status, "streamed": heard.text, "polled": answer(asked)[1]}


def pages():
    thread = litellm.create_thread(custom_llm_provider="openai")
    for number in range(25):
        litellm.add_message(custom_llm_provider="openai", thread_id=thread.id, role="user", content=str(number))
    newest_first = list(litellm.get_messages(custom_llm_provider="openai", thread_id=thread.id))
    return {"texts": [message.content[0].text.value for message in reversed(newest_first)]}


def error():
    asked = ask("hello")
    try:
        litellm.run_thread(**asked | {"assistant_id": "asst_missing"})
    except openai.APIStatusError as missing:
        message = missing.body["message"]
        return {
            "missing": {"error": type(missing).__name__, "message": message, "request_id": missing.request_id},
        }
    raise AssertionError("no error")


PLAYS = {
    play.__name__: play for play in (text, stream, code, stream_code, search, stream_search, incomplete, pages, error)
}
print(json.dumps(PLAYS[sys.argv[1]]()))
