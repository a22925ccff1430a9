"""What run tests share: run a thread streamed or polled, and look at what came."""

from dataclasses import dataclass, field
from typing import Any

import httpx
import orjson
from openai import OpenAI
from openai.types.beta import AssistantStreamEvent
from pydantic import TypeAdapter

from tests import traffic
from tests.server_process import ServerProcess

JSON = dict[str, Any]
_EVENT: TypeAdapter[Any] = TypeAdapter(AssistantStreamEvent)


@dataclass
class Events:
    """The raw events of one stream."""

    names: list[str] = field(default_factory=list)
    objects: list[Any] = field(default_factory=list)

    def of(self, name: str) -> list[JSON]:
        """The objects of all events of that name."""
        return [one for found, one in zip(self.names, self.objects, strict=True) if found == name]

    def collapsed(self) -> list[str]:
        """The names without the prefix, runs of equal ones as one."""
        short = [name.removeprefix("thread.") for name in self.names]
        return [name for number, name in enumerate(short) if not number or short[number - 1] != name]

    def text(self) -> str:
        """The text of all message deltas."""
        parts = [part for delta in self.of("thread.message.delta") for part in delta["delta"]["content"]]
        return "".join(part["text"]["value"] for part in parts if part["type"] == "text")


def stream(server: ServerProcess, path: str, **body: Any) -> Events:
    """POST with `stream: true` and read the events as they are on the wire."""
    events = Events()
    with httpx.stream("POST", server.url + path, json=body | {"stream": True}, timeout=60) as answer:
        assert answer.status_code == 200, answer.read()
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        for block in answer.read().decode().split("\n\n"):
            if not block or block.startswith(":"):
                continue
            name, _, data = block.partition("\n")
            events.names.append(name.removeprefix("event: "))
            traffic.events.add(events.names[-1])
            payload = data.removeprefix("data: ")
            events.objects.append(payload if payload == "[DONE]" else _object(events.names[-1], orjson.loads(payload)))
    return events


def _object(event: str, payload: JSON) -> JSON:
    """What came with an event, once it is what the official client knows that event to bring."""
    if event != "error":  # the client's type is that of the document, the wire had another [R2]
        _EVENT.validate_python({"event": event, "data": payload})
        *_, state = event.split(".")
        assert payload["object"] == (event if state == "delta" else event.removesuffix(f".{state}"))
        if "status" in payload:
            begun = "queued" if event == "thread.run.created" else "in_progress"
            assert payload["status"] == (begun if state == "created" else state)
    return payload


def thread_with(client: OpenAI, text: str = "hi", **message: Any) -> str:
    """A thread with one user message."""
    thread = client.beta.threads.create()
    client.beta.threads.messages.create(thread.id, role="user", content=text, **message)
    return thread.id


def assistant_with(client: OpenAI, model: str, tools: list[Any] | None = None, **settings: Any) -> str:
    """An assistant on a scripted model."""
    settings = {"instructions": "Help."} | settings
    return client.beta.assistants.create(model=model, tools=tools or [], **settings).id


def function(name: str) -> JSON:
    """A function tool without parameters of note."""
    return {"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {}}}}


CODE: JSON = {"type": "code_interpreter"}
