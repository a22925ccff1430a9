"""AutoGen's OpenAIAssistantAgent; the last line that it prints is what it saw."""
# mypy: ignore-errors

import asyncio
import json
import os
import sys
import warnings

import openai
from autogen_agentchat.messages import TextMessage
from autogen_core import CancellationToken
from autogen_ext.agents.openai import OpenAIAssistantAgent

warnings.simplefilter("ignore")
MODEL = os.environ["UNDERSTUDY_MODEL"]
WEATHER = {"Ghent": "21 degrees, sunny", "Oslo": "12 degrees, rain"}
client = openai.AsyncOpenAI()


async def get_weather(city: str) -> str:
    """The weather in a city."""
    return WEATHER[city]


def agent(*tools, **settings):
    return OpenAIAssistantAgent(
        name="Helper",
        description="Helps.",
        client=client,
        model=MODEL,
        instructions="You help.",
        tools=list(tools),
        **settings,
    )


async def ask(helper, question):
    return await helper.on_messages([TextMessage(source="user", content=question)], CancellationToken())


async def last_message(helper):
    """As it is stored: the agent passes on its text alone."""
    state = await helper.save_state()
    (message,) = (await helper.messages.list(thread_id=state["thread_id"], order="desc", limit=1)).data
    return message


async def clean(helper):
    await helper.delete_uploaded_files(CancellationToken())
    await helper.delete_vector_store(CancellationToken())
    await helper.delete_assistant(CancellationToken())


async def text():
    helper = agent()
    answer = await ask(helper, "hello")
    await helper.on_reset(CancellationToken())
    await clean(helper)
    return {"text": answer.chat_message.content}


async def function():
    answer = await ask(agent(get_weather), "What is the weather in Ghent and in Oslo?")
    requested, executed = answer.inner_messages
    assert [result.content for result in executed.content] == list(WEATHER.values())
    return {
        "text": answer.chat_message.content,
        "calls": [[call.name, json.loads(call.arguments)] for call in requested.content],
    }


async def code():
    helper = agent("code_interpreter")
    await helper.on_upload_for_code_interpreter("sales.csv", CancellationToken())
    answer = await ask(helper, "Which month was best?")
    message = await last_message(helper)
    step, *_ = (await helper.runs.steps.list(thread_id=message.thread_id, run_id=message.run_id, order="asc")).data
    outputs = step.step_details.tool_calls[0].code_interpreter.outputs
    (image,) = [output.image.file_id for output in outputs if output.type == "image"]
    logs = "".join(output.logs for output in outputs if output.type == "logs")
    content = await client.files.content(image)
    await clean(helper)
    return {"text": answer.chat_message.content, "logs": logs, "image": len(content.read())}


async def search():
    helper = agent("file_search")
    await helper.on_upload_for_file_search("foods.txt", CancellationToken())
    answer = await ask(helper, "What does Ada like?")
    (part,) = (await last_message(helper)).content
    (citation,) = part.text.annotations
    cited = await client.files.retrieve(citation.file_citation.file_id)
    await clean(helper)
    return {"text": answer.chat_message.content, "citation": cited.filename}


async def error():
    try:
        await ask(agent(assistant_id="asst_missing"), "hello")
    except openai.APIStatusError as missing:
        message = missing.body["message"]
        return {
            "missing": {"error": type(missing).__name__, "message": message, "request_id": missing.request_id},
        }
    raise AssertionError("no error")


PLAYS = {play.__name__: play for play in (text, function, code, search, error)}
print(json.dumps(asyncio.run(PLAYS[sys.argv[1]]())))
