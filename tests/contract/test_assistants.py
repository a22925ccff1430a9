"""/assistants through the official client."""

import httpx
import openai
import pytest
from openai import OpenAI

from tests.server_process import ServerProcess


@pytest.mark.operation("createAssistant", "getAssistant")
def test_create_echoes_and_normalises(client: OpenAI) -> None:
    schema: dict[str, object] = {"type": "object", "properties": {"city": {"type": "string"}}}
    assistant = client.beta.assistants.create(
        model="gpt-4o",
        name="Weather",
        description="tells the weather",
        instructions="Be brief.",
        tools=[
            {"type": "code_interpreter"},
            {"type": "function", "function": {"name": "get_weather", "description": "d", "parameters": schema}},
            {"type": "function", "function": {"name": "now"}},
        ],
        metadata={"team": "a"},
        temperature=0.5,
        top_p=0.9,
        response_format={"type": "json_object"},
    )
    assert assistant.id.startswith("asst_")
    assert len(assistant.id) == 5 + 24
    body = assistant.to_dict()
    assert body["tools"] == [
        {"type": "code_interpreter"},
        {
            "type": "function",
            "function": {"name": "get_weather", "description": "d", "parameters": schema, "strict": False},
        },
        {
            "type": "function",
            "function": {"name": "now", "parameters": {"type": "object", "properties": {}}, "strict": False},
        },
    ]
    assert body["tool_resources"] == {"code_interpreter": {"file_ids": []}}
    assert (body["temperature"], body["top_p"], body["metadata"]) == (0.5, 0.9, {"team": "a"})
    assert client.beta.assistants.retrieve(assistant.id) == assistant


def test_defaults_are_those_of_the_wire(server: ServerProcess) -> None:
    raw = httpx.post(f"{server.url}/assistants", json={"model": "gpt-4o"}).json()
    assert list(raw) == [
        *("id", "object", "created_at", "name", "description", "model", "instructions", "tools", "top_p"),
        *("temperature", "reasoning_effort", "tool_resources", "metadata", "response_format"),
    ]
    del raw["id"], raw["created_at"]
    assert raw == {
        "object": "assistant",
        "name": None,
        "description": None,
        "model": "gpt-4o",
        "instructions": None,
        "tools": [],
        "top_p": 1.0,
        "temperature": 1.0,
        "reasoning_effort": None,
        "tool_resources": {},
        "metadata": {},
        "response_format": "auto",
    }


@pytest.mark.operation("modifyAssistant")
def test_modify_changes_only_what_it_names(client: OpenAI) -> None:
    assistant = client.beta.assistants.create(instructions="Help.", model="gpt-4o", name="A", metadata={"a": "1"})
    changed = client.beta.assistants.update(assistant.id, name="B")
    assert (changed.name, changed.model, changed.metadata) == ("B", "gpt-4o", {"a": "1"})
    assert client.beta.assistants.retrieve(assistant.id) == changed


def test_tool_resources_merge_per_tool(client: OpenAI) -> None:
    file = client.files.create(file=("a.csv", b"x\n1\n"), purpose="assistants")
    assistant = client.beta.assistants.create(
        model="gpt-4o",
        instructions="Help.",
        tools=[{"type": "code_interpreter"}],
        tool_resources={"code_interpreter": {"file_ids": [file.id]}},
    )
    changed = client.beta.assistants.update(assistant.id, tool_resources={"file_search": {"vector_store_ids": []}})
    assert changed.tool_resources is not None
    assert changed.tool_resources.to_dict() == {
        "code_interpreter": {"file_ids": [file.id]},
        "file_search": {"vector_store_ids": []},
    }


@pytest.mark.operation("deleteAssistant")
def test_delete(client: OpenAI) -> None:
    assistant = client.beta.assistants.create(instructions="Help.", model="gpt-4o")
    deleted = client.beta.assistants.delete(assistant.id)
    assert (deleted.id, deleted.object, deleted.deleted) == (assistant.id, "assistant.deleted", True)
    with pytest.raises(openai.NotFoundError, match=f"No assistant found with id '{assistant.id}'."):
        client.beta.assistants.retrieve(assistant.id)


@pytest.mark.operation("listAssistants")
def test_list_pages_both_ways(client: OpenAI) -> None:
    made = [
        client.beta.assistants.create(instructions="Help.", model="gpt-4o", name=str(number)).id for number in range(5)
    ]
    newest = client.beta.assistants.list(limit=2)
    assert [one.id for one in newest.data] == made[:2:-1]
    assert newest.has_more
    following = client.beta.assistants.list(limit=2, after=newest.data[-1].id)
    assert [one.id for one in following.data] == made[2:0:-1]
    before = client.beta.assistants.list(limit=2, before=following.data[0].id)
    assert [one.id for one in before.data] == made[:2:-1]
    ascending = client.beta.assistants.list(limit=100, order="asc", after=made[2])
    assert [one.id for one in ascending.data][:2] == made[3:]


def test_deleting_while_listing_reaches_all(client: OpenAI) -> None:
    made = {client.beta.assistants.create(instructions="Help.", model="gpt-4o").id for _ in range(5)}
    for assistant in client.beta.assistants.list(limit=2):
        client.beta.assistants.delete(assistant.id)
        made.discard(assistant.id)
    assert not made
    assert client.beta.assistants.list().data == []


def test_empty_list(client: OpenAI, server: ServerProcess) -> None:
    for assistant in client.beta.assistants.list():
        client.beta.assistants.delete(assistant.id)
    raw = httpx.get(f"{server.url}/assistants").json()
    assert raw == {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}


def test_a_chosen_id(client: OpenAI) -> None:
    chosen = client.beta.assistants.create(
        instructions="Help.", model="gpt-4o", extra_body={"id": "asst_of_my_configuration"}
    )
    assert chosen.id == "asst_of_my_configuration"
    with pytest.raises(openai.BadRequestError, match="already in use"):
        client.beta.assistants.create(instructions="Help.", model="gpt-4o", extra_body={"id": chosen.id})
    with pytest.raises(openai.BadRequestError, match="begins with 'asst'"):
        client.beta.assistants.create(instructions="Help.", model="gpt-4o", extra_body={"id": "thread_x"})
    client.beta.assistants.delete(chosen.id)
