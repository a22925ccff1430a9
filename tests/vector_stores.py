"""Files and vector stores for the tests."""

import time
from collections.abc import Callable

from openai import OpenAI
from openai.types import FileObject, VectorStore

LOOMS = "A loom holds the warp threads under tension while the weft is woven through them."
CATS = "Cats sleep most of the day and hunt at dawn."
TEA = "Green tea is steamed soon after picking, which keeps its leaves from oxidising."


def upload(client: OpenAI, name: str, text: str | bytes) -> FileObject:
    return client.files.create(file=(name, text.encode() if isinstance(text, str) else text), purpose="assistants")


def filled_store(client: OpenAI, *texts: str, **options: object) -> tuple[VectorStore, list[str]]:
    """A store with a file for each text, ready to be searched; the files' ids."""
    files = [upload(client, f"{number}.txt", text).id for number, text in enumerate(texts)]
    store = client.vector_stores.create(name="Library", **options)  # type: ignore[arg-type]
    client.vector_stores.file_batches.create_and_poll(store.id, file_ids=files)
    return client.vector_stores.retrieve(store.id), files


def ready(client: OpenAI, store_id: str) -> VectorStore:
    """The store, once no file of it is in progress."""
    wait_for(lambda: client.vector_stores.retrieve(store_id).file_counts.in_progress == 0)
    return client.vector_stores.retrieve(store_id)


def wait_for(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
