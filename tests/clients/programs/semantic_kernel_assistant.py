"""Semantic Kernel's OpenAIAssistantAgent and AzureAssistantAgent; the last line that it prints is what it saw."""
# mypy: ignore-errors

import asyncio
import json
import os
import sys
import warnings
from pathlib import Path
from typing import Annotated

import openai
from semantic_kernel.agents import AssistantAgentThread, AzureAssistantAgent, OpenAIAssistantAgent
from semantic_kernel.contents import (
    AnnotationContent,
    FileReferenceContent,
    FunctionCallContent,
    StreamingAnnotationContent,
    StreamingFileReferenceContent,
)
from semantic_kernel.functions import kernel_function

warnings.simplefilter("ignore")
MODEL = os.environ["UNDERSTUDY_MODEL"]
WEATHER = {"Ghent": "21 degrees, sunny", "Oslo": "12 degrees, rain"}

if "AZURE_OPENAI_ENDPOINT" in os.environ:
    AssistantAgent = AzureAssistantAgent
    # create_client takes https alone.
    client = openai.AsyncAzureOpenAI()
else:
    AssistantAgent = OpenAIAssistantAgent
    client = OpenAIAssistantAgent.create_client(ai_model_id=MODEL)


class WeatherPlugin:
    """Knows the weather."""

    @kernel_function(description="The weather in a city.")
    def get_weather(self, city: Annotated[str, "The name of the city"]) -> Annotated[str, "The weather"]:
        return WEATHER[city]


async def agent(*plugins, **settings):
    definition = await client.beta.assistants.create(model=MODEL, name="Helper", instructions="You help.", **settings)
    return AssistantAgent(client=client, definition=definition, plugins=list(plugins))


class Heard:
    """What came from an agent: its text, the functions it called, the files it referred to and cited."""

    def __init__(self):
        self.text, self.code = "", ""
        self.calls, self.files, self.citations = [], [], []
        self.thread = None

    async def intermediate(self, message):
        for item in message.items:
            if isinstance(item, FunctionCallContent):
                self.calls.append([item.name, json.loads(item.arguments)])

    def hear(self, response):
        self.thread = response.thread
        if response.metadata.get("code"):
            self.code += str(response)
        else:
            self.text += str(response)
        for item in response.items:
            if isinstance(item, (FileReferenceContent, StreamingFileReferenceContent)):
                self.files.append(item.file_id)
            if isinstance(item, (AnnotationContent, StreamingAnnotationContent)):
                self.citations.append(item.file_id)


async def invoke(helper, question):
    heard = Heard()
    async for response in helper.invoke(messages=question, on_intermediate_message=heard.intermediate):
        heard.hear(response)
    return heard


async def invoke_stream(helper, question):
    heard = Heard()
    async for response in helper.invoke_stream(messages=question, on_intermediate_message=heard.intermediate):
        heard.hear(response)
    return heard


async def stored(thread):
    """The assistant's words as the thread has them."""
    return "".join([str(message) async for message in thread.get_messages("asc") if message.role == "assistant"])


async def text():
    answer = await (await agent()).get_response(messages="hello")
    return {"text": str(answer)}


async def stream():
    heard = await invoke_stream(await agent(), "hello")
    return {"text": heard.text, "streamed": heard.text, "polled": await stored(heard.thread)}


async def function():
    heard = await invoke(await agent(WeatherPlugin()), "What is the weather in Ghent and in Oslo?")
    return {"text": heard.text, "calls": heard.calls}


async def stream_function():
    heard = await invoke_stream(await agent(WeatherPlugin()), "What is the weather in Ghent and in Oslo?")
    polled = await stored(heard.thread)
    return {"text": heard.text, "calls": heard.calls, "streamed": heard.text, "polled": polled}


async def analyst():
    file = await client.files.create(file=Path("sales.csv"), purpose="assistants")
    tools, resources = AssistantAgent.configure_code_interpreter_tool(file_ids=[file.id])
    return await agent(tools=tools, tool_resources=resources)


async def worked(heard):
    """The code and its logs as they are stored, and the size of the chart that was heard of."""
    (run,) = (await client.beta.threads.runs.list(thread_id=heard.thread.id)).data
    step, *_ = (await client.beta.threads.runs.steps.list(thread_id=heard.thread.id, run_id=run.id, order="asc")).data
    (call,) = step.step_details.tool_calls
    logs = "".join(output.logs for output in call.code_interpreter.outputs if output.type == "logs")
    assert heard.code == call.code_interpreter.input
    image = await client.files.content(heard.files[0])
    return {"logs": logs, "image": len(image.read())}


async def code():
    heard = await invoke(await analyst(), "Which month was best?")
    return {"text": heard.text} | await worked(heard)


async def stream_code():
    heard = await invoke_stream(await analyst(), "Which month was best?")
    seen = await worked(heard)
    # What the code printed comes as text, before the answer.
    text = heard.text.removeprefix(seen["logs"])
    polled = seen["logs"] + await stored(heard.thread)
    return {"text": text, "streamed": heard.text, "polled": polled} | seen


async def reader():
    store = await client.vector_stores.create(name="Foods")
    await client.vector_stores.files.upload_and_poll(vector_store_id=store.id, file=Path("foods.txt"))
    tools, resources = AssistantAgent.configure_file_search_tool(vector_store_ids=store.id)
    return await agent(tools=tools, tool_resources=resources)


async def cited(heard):
    (file_id,) = heard.citations
    return (await client.files.retrieve(file_id)).filename


async def search():
    heard = await invoke(await reader(), "What does Ada like?")
    return {"text": heard.text, "citation": await cited(heard)}


async def stream_search():
    heard = await invoke_stream(await reader(), "What does Ada like?")
    polled = await stored(heard.thread)
    return {"text": heard.text, "citation": await cited(heard), "streamed": heard.text, "polled": polled}


async def pages():
    thread = AssistantAgentThread(client=client)
    await thread.create()
    for number in range(25):
        await thread.on_new_message(str(number))
    return {"texts": [str(message) async for message in thread.get_messages("asc")]}


PLAYS = {
    play.__name__: play
    for play in (text, stream, function, stream_function, code, stream_code, search, stream_search, pages)
}
print(json.dumps(asyncio.run(PLAYS[sys.argv[1]]())))
