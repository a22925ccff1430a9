"""Every operation that has an id in its path, as a call of the official client."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from openai import OpenAI

from tests.runs.streams import assistant_with, thread_with
from tests.scripted_upstream import Reply, ScriptedUpstream
from tests.vector_stores import LOOMS, upload

Ids = dict[str, str]
"""By the names that the paths of the API call them."""


@dataclass(frozen=True)
class Call:
    """An operation: the ids in its path, in their order, and how the client is asked for it."""

    ids: tuple[str, ...]
    make: Callable[[Any, Ids], object]


def _call(ids: str, make: Callable[[Any, Ids], object]) -> Call:
    return Call(tuple(ids.split()), make)


_IN_THREAD = "thread_id"
_MESSAGE = "thread_id message_id"
_RUN = "thread_id run_id"
_STEP = "thread_id run_id step_id"
_STORE = "vector_store_id"
_FILE = "vector_store_id file_id"
_BATCH = "vector_store_id batch_id"


CALLS = {
    "getAssistant": _call("assistant_id", lambda client, at: client.beta.assistants.retrieve(**at)),
    "modifyAssistant": _call("assistant_id", lambda client, at: client.beta.assistants.update(**at, name="A")),
    "deleteAssistant": _call("assistant_id", lambda client, at: client.beta.assistants.delete(**at)),
    "getThread": _call(_IN_THREAD, lambda client, at: client.beta.threads.retrieve(**at)),
    "modifyThread": _call(_IN_THREAD, lambda client, at: client.beta.threads.update(**at, metadata={})),
    "deleteThread": _call(_IN_THREAD, lambda client, at: client.beta.threads.delete(**at)),
    "listMessages": _call(_IN_THREAD, lambda client, at: client.beta.threads.messages.list(**at)),
    "createMessage": _call(
        _IN_THREAD, lambda client, at: client.beta.threads.messages.create(**at, role="user", content="hi")
    ),
    "getMessage": _call(_MESSAGE, lambda client, at: client.beta.threads.messages.retrieve(**at)),
    "modifyMessage": _call(_MESSAGE, lambda client, at: client.beta.threads.messages.update(**at, metadata={})),
    "deleteMessage": _call(_MESSAGE, lambda client, at: client.beta.threads.messages.delete(**at)),
    "listRuns": _call(_IN_THREAD, lambda client, at: client.beta.threads.runs.list(**at)),
    "createRun": _call(_IN_THREAD, lambda client, at: client.beta.threads.runs.create(**at, assistant_id="asst_none")),
    "getRun": _call(_RUN, lambda client, at: client.beta.threads.runs.retrieve(**at)),
    "modifyRun": _call(_RUN, lambda client, at: client.beta.threads.runs.update(**at, metadata={})),
    "cancelRun": _call(_RUN, lambda client, at: client.beta.threads.runs.cancel(**at)),
    "submitToolOuputsToRun": _call(
        _RUN, lambda client, at: client.beta.threads.runs.submit_tool_outputs(**at, tool_outputs=[])
    ),
    "listRunSteps": _call(_RUN, lambda client, at: client.beta.threads.runs.steps.list(**at)),
    "getRunStep": _call(_STEP, lambda client, at: client.beta.threads.runs.steps.retrieve(**at)),
    "retrieveFile": _call("file_id", lambda client, at: client.files.retrieve(**at)),
    "deleteFile": _call("file_id", lambda client, at: client.files.delete(**at)),
    "downloadFile": _call("file_id", lambda client, at: client.files.content(**at)),
    "addUploadPart": _call("upload_id", lambda client, at: client.uploads.parts.create(**at, data=b"x")),
    "completeUpload": _call("upload_id", lambda client, at: client.uploads.complete(**at, part_ids=[])),
    "cancelUpload": _call("upload_id", lambda client, at: client.uploads.cancel(**at)),
    "retrieveModel": _call("model", lambda client, at: client.models.retrieve(**at)),
    "deleteModel": _call("model", lambda client, at: client.models.delete(**at)),
    "getVectorStore": _call(_STORE, lambda client, at: client.vector_stores.retrieve(**at)),
    "modifyVectorStore": _call(_STORE, lambda client, at: client.vector_stores.update(**at, name="A")),
    "deleteVectorStore": _call(_STORE, lambda client, at: client.vector_stores.delete(**at)),
    "searchVectorStore": _call(_STORE, lambda client, at: client.vector_stores.search(**at, query="loom")),
    "listVectorStoreFiles": _call(_STORE, lambda client, at: client.vector_stores.files.list(**at)),
    "createVectorStoreFile": _call(
        _STORE, lambda client, at: client.vector_stores.files.create(**at, file_id="file-none")
    ),
    "getVectorStoreFile": _call(_FILE, lambda client, at: client.vector_stores.files.retrieve(**at)),
    "updateVectorStoreFileAttributes": _call(
        _FILE, lambda client, at: client.vector_stores.files.update(**at, attributes={})
    ),
    "deleteVectorStoreFile": _call(_FILE, lambda client, at: client.vector_stores.files.delete(**at)),
    "retrieveVectorStoreFileContent": _call(_FILE, lambda client, at: client.vector_stores.files.content(**at)),
    "createVectorStoreFileBatch": _call(
        _STORE, lambda client, at: client.vector_stores.file_batches.create(**at, file_ids=["file-none"])
    ),
    "getVectorStoreFileBatch": _call(_BATCH, lambda client, at: client.vector_stores.file_batches.retrieve(**at)),
    "cancelVectorStoreFileBatch": _call(_BATCH, lambda client, at: client.vector_stores.file_batches.cancel(**at)),
    "listFilesInVectorStoreBatch": _call(_BATCH, lambda client, at: client.vector_stores.file_batches.list_files(**at)),
}


def grown(client: OpenAI, upstream: ScriptedUpstream) -> Ids:
    """The ids of one object of each kind, those below a thread and a vector store being theirs."""
    assistant = assistant_with(client, upstream.script(Reply("Hi.")))
    thread = thread_with(client)
    run = client.beta.threads.runs.create_and_poll(thread_id=thread, assistant_id=assistant)
    (step,) = client.beta.threads.runs.steps.list(run.id, thread_id=thread).data
    store = client.vector_stores.create(name="Library")
    file = upload(client, "looms.txt", LOOMS).id
    batch = client.vector_stores.file_batches.create_and_poll(store.id, file_ids=[file])
    return {
        "assistant_id": assistant,
        "thread_id": thread,
        "message_id": client.beta.threads.messages.list(thread).data[0].id,
        "run_id": run.id,
        "step_id": step.id,
        "vector_store_id": store.id,
        "file_id": file,
        "batch_id": batch.id,
        "upload_id": client.uploads.create(bytes=1, filename="a.txt", mime_type="text/plain", purpose="assistants").id,
    }
