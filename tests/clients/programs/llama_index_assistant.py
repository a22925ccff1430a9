"""LlamaIndex's OpenAIAssistantAgent; the last line that it prints is what it saw."""
# mypy: ignore-errors

import json
import os
import sys

import openai
from llama_index.agent.openai import OpenAIAssistantAgent
from llama_index.core.tools import FunctionTool

MODEL = os.environ["UNDERSTUDY_MODEL"]
WEATHER = {"Ghent": "21 degrees, sunny", "Oslo": "12 degrees, rain"}


def get_weather(city: str) -> str:
    """The weather in a city."""
    return WEATHER[city]


def agent(**settings):
    return OpenAIAssistantAgent.from_new(name="Helper", instructions="You help.", model=MODEL, **settings)


def ask_about(path, tool, question):
    """An agent that has answered a question about a file."""
    helper = agent(openai_tools=[{"type": tool}])
    helper.add_message(question, file_ids=list(helper.upload_files([path])), tools=[{"type": tool}])
    run, _ = helper.run_assistant()
    assert run.status == "completed", run
    return helper, run, helper.latest_message


def text():
    return {"text": agent().chat("hello").response}


def function():
    helper = agent(tools=[FunctionTool.from_defaults(fn=get_weather)], instructions_prefix="Be brief.")
    answer = helper.chat("What is the weather in Ghent and in Oslo?")
    return {
        "text": answer.response,
        "calls": [[source.tool_name, source.raw_input["kwargs"]] for source in answer.sources],
    }


def code():
    helper, run, message = ask_about("sales.csv", "code_interpreter", "Which month was best?")
    (step, *_) = helper.client.beta.threads.runs.steps.list(thread_id=helper.thread_id, run_id=run.id, order="asc")
    outputs = step.step_details.tool_calls[0].code_interpreter.outputs
    (image,) = [output.image.file_id for output in outputs if output.type == "image"]
    logs = "".join(output.logs for output in outputs if output.type == "logs")
    return {"text": message.content, "logs": logs, "image": len(helper.client.files.content(image).read())}


def search():
    helper, _, message = ask_about("foods.txt", "file_search", "What does Ada like?")
    (part,) = message.additional_kwargs["thread_message"].content
    (citation,) = part.text.annotations
    cited = helper.client.files.retrieve(citation.file_citation.file_id)
    return {"text": message.content, "citation": cited.filename}


def pages():
    helper = agent()
    for number in range(25):
        helper.add_message(str(number))
    return {"texts": [message.content for message in helper.chat_history]}


def error():
    try:
        OpenAIAssistantAgent.from_existing("asst_missing")
    except openai.APIStatusError as missing:
        message = missing.body["message"]
        return {
            "missing": {"error": type(missing).__name__, "message": message, "request_id": missing.request_id},
        }
    raise AssertionError("no error")


PLAYS = {play.__name__: play for play in (text, function, code, search, pages, error)}
print(json.dumps(PLAYS[sys.argv[1]]()))
