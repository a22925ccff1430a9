"""Membership while everything happens at once: what was deleted before a search began is in no answer to it."""

import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.conftest import KEY
from tests.scripted_upstream import Reply, ScriptedUpstream
from tests.server_process import ServerProcess
from tests.vector_stores import ready, upload

SECONDS = 5.0
STORES = 3
FILES = 12
FEW_TOKENS: Any = {"type": "static", "static": {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 50}}
CONTENT: Any = ["step_details.tool_calls[*].file_search.results[*].content"]
SEARCH: Any = [{"type": "file_search"}]


@pytest.fixture(scope="module")
def client(upstream: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenAI]:
    """On a server of its own, where words alone decide what is found: ingestion is quick, so more of it happens."""
    data = tmp_path_factory.mktemp("membership") / "data"
    process = ServerProcess(data, "--upstream", upstream.url, "--embedder", "none")
    with OpenAI(base_url=process.url, api_key=KEY, max_retries=0) as client:
        yield client
    assert process.stop() == 0, process.log()
    assert "Traceback" not in process.log()


class Slot:
    """A store that one thread fills, empties and replaces; `present` is what has been put into it and not taken out.

    A pair leaves `allowed` when its deletion has been answered, and comes back before its addition is asked for: what
    was not in it when a search began, and did not come while it ran, must not be in the answer.
    """

    def __init__(self, client: OpenAI, words: dict[str, str], rng: random.Random) -> None:
        self._client = client
        self._words = words
        self._rng = rng
        self._lock = threading.Lock()
        self._came: dict[str, int] = {}
        self._clock = 0
        self.allowed: set[str] = set()
        self.present: set[str] = set()
        self.deleted_stores: list[str] = []
        self.store = client.vector_stores.create(name="slot").id

    def begin(self) -> tuple[str, set[str], int]:
        """The store, its files, and the moment."""
        with self._lock:
            return self.store, set(self.allowed), self._clock

    def since(self, moment: int) -> set[str]:
        """The files that may have come after a moment."""
        with self._lock:
            return {file for file, came in self._came.items() if came > moment}

    def step(self) -> None:
        """One random change."""
        absent = sorted(self._words.keys() - self.present)
        act = self._rng.choices(["add", "batch", "cut", "detach", "cancel", "replace"], [4, 3, 2, 6, 1, 1])[0]
        if act == "replace":
            self._replace()
        elif act in ("detach", "cut") and self.present:
            file = self._rng.choice(sorted(self.present))
            if act == "cut":
                self._client.vector_stores.files.create(self.store, file_id=file, chunking_strategy=FEW_TOKENS)
            else:
                self._client.vector_stores.files.delete(file, vector_store_id=self.store)
                self._forget({file})
        elif absent:
            self._add(self._rng.sample(absent, min(len(absent), 1 if act == "add" else 4)), cancel=act == "cancel")

    def _add(self, files: list[str], *, cancel: bool) -> None:
        with self._lock:
            self._clock += 1
            self.allowed.update(files)
            self._came.update(dict.fromkeys(files, self._clock))
        batches = self._client.vector_stores.file_batches
        if len(files) == 1 and not cancel:
            self._client.vector_stores.files.create(self.store, file_id=files[0])
        else:
            batch = batches.create(self.store, file_ids=files)
            if cancel:
                batches.cancel(batch.id, vector_store_id=self.store)
        self.present.update(files)

    def _replace(self) -> None:
        old = self.store
        self._client.vector_stores.delete(old)
        self._forget(set(self.present))
        self.deleted_stores.append(old)
        new = self._client.vector_stores.create(name="slot").id
        with self._lock:
            self.store = new

    def _forget(self, files: set[str]) -> None:
        self.present -= files
        with self._lock:
            self.allowed -= files


class Trial:
    """The stores, who changes them, who searches them."""

    def __init__(self, client: OpenAI, upstream: ScriptedUpstream) -> None:
        self.client = client
        self._upstream = upstream
        rng = random.Random(3)
        self.words: list[dict[str, str]] = [{} for _ in range(STORES)]
        self._word_of: dict[str, str] = {}
        for number in range(STORES * FILES):
            word = f"unique{number}word"
            file = upload(client, f"{number}.txt", " ".join([f"common {word}"] * rng.randint(1, 200))).id
            self.words[number % STORES][file] = word
            self._word_of[word] = file
        self.slots = [Slot(client, words, random.Random(number)) for number, words in enumerate(self.words)]
        # A store whose files are deleted one after the other.
        self._gone: set[str] = set()
        self._spare = [upload(client, f"spare{n}.txt", f"common spare{n}word").id for n in range(40)]
        self._shared = client.vector_stores.create(name="shared").id
        client.vector_stores.file_batches.create(self._shared, file_ids=self._spare)
        self._began = time.monotonic()
        self.searches, self.runs, self.shown = 0, 0, 0

    def _goes_on(self) -> bool:
        """For some seconds, and on a busy machine until there was something to see."""
        passed = time.monotonic() - self._began
        return passed < SECONDS or (not self.shown and passed < 20 * SECONDS)

    def change(self, slot: Slot) -> None:
        while self._goes_on():
            slot.step()
            time.sleep(0.005)

    def search(self, seed: int) -> None:
        rng = random.Random(seed)
        while self._goes_on():
            slot = rng.choice(self.slots)
            store, allowed, moment = slot.begin()
            try:
                found = self.client.vector_stores.search(store, query="common", max_num_results=50).data
            except openai.NotFoundError:  # the store went away under the request
                continue
            self._check(slot, allowed, moment, ((one.file_id, one.content[0].text) for one in found))
            self.searches += 1

    def run(self) -> None:
        rng = random.Random(77)
        while self._goes_on():
            slot = rng.choice(self.slots)
            store, allowed, moment = slot.begin()
            try:
                found = self._passages(store)
            except openai.NotFoundError:  # the store went away under the request
                continue
            self._check(slot, allowed, moment, found)
            self.runs += 1

    def _passages(self, store: str) -> list[tuple[str, str]]:
        model = self._upstream.script(Reply(calls=[("file_search", {"query": "common"})]), Reply("ok"))
        resources: Any = {"file_search": {"vector_store_ids": [store]}}
        beta = self.client.beta
        assistant = beta.assistants.create(model=model, tools=SEARCH, tool_resources=resources)
        run = beta.threads.create_and_run_poll(
            assistant_id=assistant.id, thread={"messages": [{"role": "user", "content": "?"}]}, poll_interval_ms=50
        )
        assert run.status == "completed", run.last_error
        steps = beta.threads.runs.steps.list(run.id, thread_id=run.thread_id, include=CONTENT)
        details: list[Any] = [step.to_dict()["step_details"] for step in steps if step.type == "tool_calls"]
        results = [result for one in details for call in one["tool_calls"] for result in call["file_search"]["results"]]
        return [(result["file_id"], result["content"][0]["text"]) for result in results]

    def _check(self, slot: Slot, allowed: set[str], moment: int, found: Iterable[tuple[str, str]]) -> None:
        for file, text in found:
            told = {self._word_of[word] for word in text.split() if word != "common" and word in self._word_of}
            assert told == {file}, "a passage under another file's name"
            assert file in allowed or file in slot.since(moment), f"{file} had been taken out"
            self.shown += 1

    def delete_files(self) -> None:
        """Files themselves go, at first while they are ingested."""
        rng = random.Random(5)
        while self._goes_on() and len(self._spare) > 10:
            time.sleep(0.25)
            file = self._spare.pop(rng.randrange(len(self._spare)))
            self.client.files.delete(file)
            self._gone.add(file)
            found = self.client.vector_stores.search(self._shared, query="common", max_num_results=50).data
            assert not {one.file_id for one in found} & self._gone, "a passage of a deleted file"

    def check_the_end(self) -> None:
        """Counts and bytes are those of what is there, and what is there is found."""
        for slot in self.slots:
            store = ready(self.client, slot.store)
            listed = list(self.client.vector_stores.files.list(slot.store, limit=100))
            assert {file.id for file in listed} == slot.present
            completed = {file.id for file in listed if file.status == "completed"}
            assert (store.file_counts.total, store.file_counts.completed) == (len(listed), len(completed))
            assert {file.status for file in listed} <= {"completed", "cancelled"}
            assert store.usage_bytes == sum(file.usage_bytes for file in listed)
            for word, file in self._word_of.items():
                data = self.client.vector_stores.search(slot.store, query=word).data
                assert {one.file_id for one in data} == ({file} & completed), word
            for deleted in slot.deleted_stores:
                with pytest.raises(openai.NotFoundError):
                    self.client.vector_stores.search(deleted, query="common")
        shared = ready(self.client, self._shared)
        assert shared.file_counts.total == shared.file_counts.completed == len(self._spare)


def test_no_search_shows_what_was_deleted_before_it(client: OpenAI, upstream: ScriptedUpstream) -> None:
    trial = Trial(client, upstream)
    work: list[Callable[[], None]] = [partial(trial.change, slot) for slot in trial.slots]
    work += [partial(trial.search, 1), partial(trial.search, 2), trial.run, trial.delete_files]
    with ThreadPoolExecutor(len(work)) as pool:
        for future in [pool.submit(one) for one in work]:
            future.result()
    trial.check_the_end()
    assert min(trial.searches, trial.runs, trial.shown) > 0
