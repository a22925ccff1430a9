"""/threads and their messages through the official client."""

import openai
import pytest
from openai import OpenAI


@pytest.mark.operation("createThread", "getThread", "modifyThread", "deleteThread")
def test_thread_life(client: OpenAI) -> None:
    thread = client.beta.threads.create(metadata={"user": "u1"})
    assert thread.id.startswith("thread_")
    assert (thread.object, thread.metadata) == ("thread", {"user": "u1"})
    assert client.beta.threads.retrieve(thread.id) == thread
    changed = client.beta.threads.update(thread.id, metadata={"user": "u2"})
    assert changed.metadata == {"user": "u2"}
    deleted = client.beta.threads.delete(thread.id)
    assert (deleted.id, deleted.object, deleted.deleted) == (thread.id, "thread.deleted", True)
    with pytest.raises(openai.NotFoundError, match=f"No thread found with id '{thread.id}'."):
        client.beta.threads.retrieve(thread.id)
    with pytest.raises(openai.NotFoundError):
        client.beta.threads.messages.list(thread.id)


def test_thread_with_messages(client: OpenAI) -> None:
    thread = client.beta.threads.create(
        messages=[{"role": "user", "content": "first"}, {"role": "assistant", "content": "second"}]
    )
    messages = client.beta.threads.messages.list(thread.id, order="asc").data
    assert [(one.role, one.content[0].to_dict()) for one in messages] == [
        ("user", {"type": "text", "text": {"value": "first", "annotations": []}}),
        ("assistant", {"type": "text", "text": {"value": "second", "annotations": []}}),
    ]


@pytest.mark.operation("createMessage", "getMessage", "modifyMessage", "deleteMessage", "listMessages")
def test_message_life(client: OpenAI) -> None:
    thread = client.beta.threads.create()
    message = client.beta.threads.messages.create(thread.id, role="user", content="hi", metadata={"a": "1"})
    assert (message.thread_id, message.status, message.run_id, message.attachments) == (
        thread.id,
        "completed",
        None,
        [],
    )
    assert client.beta.threads.messages.retrieve(message.id, thread_id=thread.id) == message
    changed = client.beta.threads.messages.update(message.id, thread_id=thread.id, metadata={"a": "2"})
    assert changed.metadata == {"a": "2"}
    other = client.beta.threads.create()
    with pytest.raises(openai.NotFoundError, match=f"No message found with id '{message.id}'."):
        client.beta.threads.messages.retrieve(message.id, thread_id=other.id)
    deleted = client.beta.threads.messages.delete(message.id, thread_id=thread.id)
    assert (deleted.object, deleted.deleted) == ("thread.message.deleted", True)
    assert client.beta.threads.messages.list(thread.id).data == []


def test_content_parts(client: OpenAI) -> None:
    image = client.files.create(file=("dot.png", b"\x89PNG"), purpose="vision")
    thread = client.beta.threads.create()
    message = client.beta.threads.messages.create(
        thread.id,
        role="user",
        content=[
            {"type": "text", "text": "what is this?"},
            {"type": "image_file", "image_file": {"file_id": image.id}},
            {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}},
        ],
    )
    assert [part.to_dict() for part in message.content] == [
        {"type": "text", "text": {"value": "what is this?", "annotations": []}},
        {"type": "image_file", "image_file": {"file_id": image.id, "detail": "auto"}},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}},
    ]


def test_attachments_go_to_the_thread(client: OpenAI) -> None:
    files = [client.files.create(file=(f"{name}.csv", b"x\n"), purpose="assistants").id for name in "ab"]
    thread = client.beta.threads.create(tool_resources={"code_interpreter": {"file_ids": files[:1]}})
    message = client.beta.threads.messages.create(
        thread.id,
        role="user",
        content="look",
        attachments=[{"file_id": files[1], "tools": [{"type": "code_interpreter"}]}],
    )
    assert [one.to_dict() for one in message.attachments or []] == [
        {"file_id": files[1], "tools": [{"type": "code_interpreter"}]}
    ]
    resources = client.beta.threads.retrieve(thread.id).tool_resources
    assert resources is not None
    assert resources.to_dict() == {"code_interpreter": {"file_ids": files}}
    client.files.delete(files[0])
    resources = client.beta.threads.retrieve(thread.id).tool_resources
    assert resources is not None
    assert resources.to_dict() == {"code_interpreter": {"file_ids": files[1:]}}


def test_an_attachment_needs_a_file_that_is_there(client: OpenAI) -> None:
    thread = client.beta.threads.create()
    with pytest.raises(openai.BadRequestError, match="No file found with id 'file-gone'"):
        client.beta.threads.messages.create(
            thread.id,
            role="user",
            content="look",
            attachments=[{"file_id": "file-gone", "tools": [{"type": "code_interpreter"}]}],
        )
    with pytest.raises(openai.BadRequestError) as caught:
        client.beta.threads.create(
            messages=[
                {
                    "role": "user",
                    "content": "look",
                    "attachments": [{"file_id": "X", "tools": [{"type": "code_interpreter"}]}],
                }
            ]
        )
    assert caught.value.param == "messages[0].attachments[0].file_id"
    assert "Invalid 'messages[0].attachments[0].file_id': 'X'. Expected an ID that begins with 'file'." in str(
        caught.value
    )
    assert client.beta.threads.messages.list(thread.id).data == []


def test_list_by_run(client: OpenAI) -> None:
    thread = client.beta.threads.create(messages=[{"role": "user", "content": "hi"}])
    assert client.beta.threads.messages.list(thread.id, run_id="run_none").data == []
