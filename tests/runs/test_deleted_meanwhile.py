"""What a run works on goes away while it works: it ends, its stream ends with an end, nothing stays locked."""

import threading
from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.runs.streams import CODE, assistant_with, stream, thread_with
from tests.runs.test_lifecycle import wait_for
from tests.scripted_upstream import Reply, ScriptedUpstream
from tests.server_process import ServerProcess


def _code(source: str) -> Reply:
    return Reply(calls=[("code_interpreter", {"code": source})])


def test_a_message_in_progress_stays(client: OpenAI, upstream: ScriptedUpstream) -> None:
    hold = threading.Event()
    model = upstream.script(Reply(pieces=["a", "b"], hold=hold))
    assistant, thread = assistant_with(client, model), thread_with(client)
    run = client.beta.threads.runs.create(thread, assistant_id=assistant)
    messages = client.beta.threads.messages
    wait_for(lambda: messages.list(thread).data[0].role == "assistant")
    message = messages.list(thread).data[0].id
    with pytest.raises(openai.BadRequestError, match=f"Can't delete message {message} while a run {run.id} is active."):
        messages.delete(message, thread_id=thread)
    hold.set()
    assert client.beta.threads.runs.poll(run.id, thread_id=thread).status == "completed"
    assert messages.delete(message, thread_id=thread).deleted


def test_the_thread(client: OpenAI, server: ServerProcess, upstream: ScriptedUpstream) -> None:
    model = upstream.script(Reply(pieces=["a", "b"], hold=threading.Event()))
    assistant, thread = assistant_with(client, model), thread_with(client)

    def delete() -> None:
        wait_for(lambda: client.beta.threads.messages.list(thread).data[0].role == "assistant")
        client.beta.threads.delete(thread)

    worker = threading.Thread(target=delete)
    worker.start()
    events = stream(server, f"/threads/{thread}/runs", assistant_id=assistant)
    worker.join()
    assert events.names[-2:] == ["thread.run.cancelled", "done"]


def test_the_assistant(client: OpenAI, upstream: ScriptedUpstream) -> None:
    hold = threading.Event()
    model = upstream.script(_code("print(1)"), Reply("done", hold=hold))
    assistant, thread = assistant_with(client, model, [CODE]), thread_with(client)
    run = client.beta.threads.runs.create(thread, assistant_id=assistant)
    client.beta.assistants.delete(assistant)
    hold.set()
    assert client.beta.threads.runs.poll(run.id, thread_id=thread).status == "completed"


def test_an_attached_file(client: OpenAI, server: ServerProcess, upstream: ScriptedUpstream) -> None:
    file = client.files.create(file=("a.csv", b"x\n"), purpose="assistants").id

    def reply(_body: Any) -> Reply:
        client.files.delete(file)
        return _code("import os; print(os.listdir('/mnt/data'))")

    model = upstream.script(reply, Reply("gone"))
    attachment: Any = {"file_id": file, "tools": [CODE]}
    thread = thread_with(client, attachments=[attachment])
    run = client.beta.threads.runs.create_and_poll(thread_id=thread, assistant_id=assistant_with(client, model, [CODE]))
    assert run.status == "completed", run.last_error
    assert upstream.requests[model][1]["messages"][-1]["content"].strip() == "[]"
    assert "Traceback" not in server.log()


def test_a_folder_in_a_files_place(client: OpenAI, upstream: ScriptedUpstream) -> None:
    file = client.files.create(file=("a.csv", b"x\n"), purpose="assistants").id
    swap = "import os; os.remove('/mnt/data/a.csv'); os.makedirs('/mnt/data/a.csv')"
    model = upstream.script(_code(swap), _code("print(os.path.isdir('/mnt/data/a.csv'))"), Reply("ok"))
    attachment: Any = {"file_id": file, "tools": [CODE]}
    run = client.beta.threads.runs.create_and_poll(
        thread_id=thread_with(client, attachments=[attachment]),
        assistant_id=assistant_with(client, model, [CODE]),
    )
    assert run.status == "completed", run.last_error
    assert upstream.requests[model][2]["messages"][-1]["content"].strip() == "True"


def test_links_to_sparse_files_fill_no_disk(client: OpenAI, upstream: ScriptedUpstream) -> None:
    code = "for n in range(4):\n    open(f'/mnt/data/{n}.bin', 'wb').truncate(400 * 1024**2)"
    answer = " ".join(f"[{n}](sandbox:/mnt/data/{n}.bin)" for n in range(4))
    model = upstream.script(_code(code), Reply(answer))
    thread = thread_with(client)
    run = client.beta.threads.runs.create_and_poll(thread_id=thread, assistant_id=assistant_with(client, model, [CODE]))
    assert run.status == "completed", run.last_error
    block: Any = client.beta.threads.messages.list(thread).data[0].content[0]
    kept = [annotation.file_path.file_id for annotation in block.text.annotations]
    assert len(kept) == 2, "what fits into the 1 GiB of /mnt/data"
    for file in kept:
        client.files.delete(file)
