"""LangChain's OpenAIAssistantV2Runnable; the last line that it prints is what it saw."""
# mypy: ignore-errors

import json
import os
import sys
import warnings

import openai
from langchain_classic.agents import AgentExecutor
from langchain_community.agents.openai_assistant import OpenAIAssistantV2Runnable
from langchain_core.tools import tool

warnings.simplefilter("ignore")
MODEL = os.environ["UNDERSTUDY_MODEL"]
WEATHER = {"Ghent": "21 degrees, sunny", "Oslo": "12 degrees, rain"}
client = openai.OpenAI()


@tool
def get_weather(city: str) -> str:
    """The weather in a city."""
    return WEATHER[city]


def assistant(*tools, **settings):
    return OpenAIAssistantV2Runnable.create_assistant(
        name="Helper", instructions="You help.", tools=tools, model=MODEL, check_every_ms=50, **settings
    )


def text():
    helper = assistant()
    (first,) = helper.invoke({"content": "hello"})
    return {"text": first.content[0].text.value}


def function():
    executor = AgentExecutor(
        agent=assistant(get_weather, as_agent=True), tools=[get_weather], return_intermediate_steps=True
    )
    result = executor.invoke({"content": "What is the weather in Ghent and in Oslo?"})
    steps = result["intermediate_steps"]
    return {"text": result["output"], "calls": [[action.tool, action.tool_input] for action, _ in steps]}


def code():
    with open("sales.csv", "rb") as sales:
        file = client.files.create(file=sales, purpose="assistants")
    attachments = [{"file_id": file.id, "tools": [{"type": "code_interpreter"}]}]
    helper = assistant({"type": "code_interpreter"})
    (message,) = helper.invoke({"content": "Which month was best?"}, attachments=attachments)
    texts = [part.text.value for part in message.content if part.type == "text"]
    (step, *_) = helper.client.beta.threads.runs.steps.list(
        thread_id=message.thread_id, run_id=message.run_id, order="asc"
    )
    outputs = step.step_details.tool_calls[0].code_interpreter.outputs
    (image,) = [output.image.file_id for output in outputs if output.type == "image"]
    logs = "".join(output.logs for output in outputs if output.type == "logs")
    return {"text": "".join(texts), "logs": logs, "image": len(client.files.content(image).read())}


def search():
    store = client.vector_stores.create(name="Foods")
    with open("foods.txt", "rb") as foods:
        client.vector_stores.files.upload_and_poll(vector_store_id=store.id, file=foods)
    found = {"file_search": {"vector_store_ids": [store.id]}}
    (message,) = assistant({"type": "file_search"}, tool_resources=found).invoke({"content": "What does Ada like?"})
    answer = message.content[0].text
    (citation,) = answer.annotations
    return {"text": answer.value, "citation": client.files.retrieve(citation.file_citation.file_id).filename}


def error():
    try:
        OpenAIAssistantV2Runnable(assistant_id="asst_missing").invoke({"content": "hello"})
    except openai.APIStatusError as missing:
        message = missing.body["message"]
        return {
            "missing": {"error": type(missing).__name__, "message": message, "request_id": missing.request_id},
        }
    raise AssertionError("no error")


PLAYS = {play.__name__: play for play in (text, function, code, search, error)}
print(json.dumps(PLAYS[sys.argv[1]]()))
