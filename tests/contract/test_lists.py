"""`limit`, `order`, `after` and `before` of every list."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import openai
import pytest
from openai import OpenAI

from tests import traffic
from tests.conftest import official_client
from tests.runs.streams import assistant_with, function, thread_with
from tests.scripted_upstream import Reply, ScriptedUpstream
from tests.server_process import ServerProcess
from tests.vector_stores import upload

COUNT = 5


@dataclass(frozen=True)
class List:
    """A list that holds at least these objects, newest first; `whole` where it holds no others."""

    call: Callable[..., Any]
    ids: list[str]
    whole: bool
    most: int = 100


@pytest.fixture(scope="module")
def client(upstream: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenAI]:
    """Of a server of its own: other tests leave stores without names, which strict clients refuse."""
    server = ServerProcess(tmp_path_factory.mktemp("lists") / "data", "--upstream", upstream.url)
    with official_client(server) as client:
        yield client
    assert server.stop() == 0, server.log()


@pytest.fixture(scope="module")
def lists(client: OpenAI, upstream: ScriptedUpstream) -> dict[str, List]:
    threads, stores = client.beta.threads, client.vector_stores
    talk = threads.create().id
    messages = [threads.messages.create(talk, role="user", content=str(number)).id for number in range(COUNT)]
    files = [upload(client, f"{number}.txt", f"text {number}").id for number in range(COUNT)]
    made = [stores.create(name=str(number)).id for number in range(COUNT)]
    for file in files:
        stores.files.create_and_poll(file, vector_store_id=made[0])
    batch = stores.file_batches.create_and_poll(made[1], file_ids=files)
    thread, runs = _runs(client, upstream)
    rounds = [Reply(calls=[("made_up", {})])] * (COUNT - 1)
    stepping = assistant_with(client, upstream.script(*rounds, Reply("Done.")), [function("f")])
    run = threads.runs.create_and_poll(thread_id=thread_with(client), assistant_id=stepping)
    steps = [step.id for step in threads.runs.steps.list(run.id, thread_id=run.thread_id, order="asc")]
    assert len(steps) == COUNT

    # The last ones: those of the runs would come between.
    assistants = [assistant_with(client, "m", name=str(number)) for number in range(COUNT)]

    def newest(call: Callable[..., Any], ids: list[str], *, whole: bool = True, most: int = 100) -> List:
        return List(call, ids[::-1], whole, most)

    return {
        "listAssistants": newest(client.beta.assistants.list, assistants, whole=False),
        "listMessages": newest(lambda **how: threads.messages.list(talk, **how), messages),
        "listRuns": newest(lambda **how: threads.runs.list(thread, **how), runs),
        "listRunSteps": newest(lambda **how: threads.runs.steps.list(run.id, thread_id=run.thread_id, **how), steps),
        "listFiles": newest(client.files.list, files, whole=False, most=10_000),
        "listVectorStores": newest(stores.list, made, whole=False),
        "listVectorStoreFiles": newest(lambda **how: stores.files.list(made[0], **how), files),
        "listFilesInVectorStoreBatch": newest(
            lambda **how: stores.file_batches.list_files(batch.id, vector_store_id=made[1], **how), files
        ),
    }


def _runs(client: OpenAI, upstream: ScriptedUpstream) -> tuple[str, list[str]]:
    thread = thread_with(client)
    assistant = assistant_with(client, upstream.script(*[Reply("Hi.")] * COUNT))
    create = client.beta.threads.runs.create_and_poll
    return thread, [create(thread_id=thread, assistant_id=assistant).id for _ in range(COUNT)]


LISTS = [
    *("listAssistants", "listMessages", "listRuns", "listRunSteps", "listFiles", "listVectorStores"),
    *("listVectorStoreFiles", "listFilesInVectorStoreBatch"),
]
each = pytest.mark.parametrize("operation", LISTS)


def _ids(page: Any) -> list[str]:
    """Of one page."""
    body = page.to_dict()
    ids = [one["id"] for one in body["data"]]
    assert body["object"] == "list"
    assert (body["first_id"], body["last_id"]) == ((ids[0], ids[-1]) if ids else (None, None))
    return ids


def test_no_list_is_left_out() -> None:
    assert set(LISTS) == {name for name in traffic.all_operations() if name.startswith("list")} - {"listModels"}


@pytest.mark.operation("listAssistants", "listMessages", "listRuns", "listRunSteps")
@pytest.mark.operation("listFiles", "listVectorStores", "listVectorStoreFiles", "listFilesInVectorStoreBatch")
def test_the_newest_come_first(lists: dict[str, List]) -> None:
    for one in lists.values():
        assert _ids(one.call(limit=COUNT)) == one.ids


@each
def test_pages_forwards(lists: dict[str, List], operation: str) -> None:
    one = lists[operation]
    assert [item.id for item in islice(one.call(limit=2), COUNT)] == one.ids
    first = one.call(limit=2)
    assert (_ids(first), first.has_more) == (one.ids[:2], True)
    second = one.call(limit=2, after=one.ids[1], order="desc")
    assert (_ids(second), second.has_more) == (one.ids[2:4], True)
    if one.whole:
        last = one.call(limit=2, after=one.ids[3])
        assert (_ids(last), last.has_more) == (one.ids[4:], False)
        whole = one.call()
        assert (_ids(whole), whole.has_more) == (one.ids, False)


@each
def test_pages_backwards(lists: dict[str, List], operation: str) -> None:
    one = lists[operation]
    # The client's types know no `before` of files.
    page = one.call(limit=2, extra_query={"before": one.ids[3]})
    assert (_ids(page), page.has_more) == (one.ids[1:3], True)
    page = one.call(limit=2, extra_query={"before": one.ids[2]})
    assert (_ids(page), page.has_more) == (one.ids[:2], False)
    between = one.call(limit=2, after=one.ids[0], extra_query={"before": one.ids[4]})
    assert (_ids(between), between.has_more) == (one.ids[1:3], True)
    between = one.call(limit=3, after=one.ids[0], extra_query={"before": one.ids[4]})
    assert (_ids(between), between.has_more) == (one.ids[1:4], False)


@each
def test_the_other_order(lists: dict[str, List], operation: str) -> None:
    one = lists[operation]
    oldest = one.ids[::-1]
    page = one.call(limit=2, order="asc", after=oldest[0])
    assert (_ids(page), page.has_more) == (oldest[1:3], True)
    rest = one.call(limit=2, order="asc", after=oldest[2])
    assert (_ids(rest), rest.has_more) == (oldest[3:], False)
    page = one.call(limit=2, order="asc", extra_query={"before": oldest[4]})
    assert (_ids(page), page.has_more) == (oldest[2:4], True)
    if one.whole:
        assert [item.id for item in one.call(limit=2, order="asc")] == oldest


@each
def test_an_empty_page(lists: dict[str, List], operation: str) -> None:
    one = lists[operation]
    page = one.call(order="asc", after=one.ids[0])
    assert page.to_dict() == {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}
    assert [item.id for item in page] == []


@each
def test_the_bounds_of_limit(lists: dict[str, List], operation: str) -> None:
    one = lists[operation]
    assert _ids(one.call(limit=1)) == one.ids[:1]
    assert _ids(one.call(limit=one.most, order="asc", after=one.ids[-1])) == one.ids[-2::-1]
    above = one.most + 1
    message = f"Invalid 'limit': integer above maximum value. Expected a value <= {one.most}, but got {above} instead."
    _refused(one, message, "integer_above_max_value", limit=above)
    message = "Invalid 'limit': integer below minimum value. Expected a value >= 1, but got 0 instead."
    _refused(one, message, "integer_below_min_value", limit=0)
    _refused(one, "Invalid type for 'limit': expected an integer, but got a string instead.", "invalid_type", limit="x")


@each
def test_an_order_that_is_none(lists: dict[str, List], operation: str) -> None:
    message = "Invalid value: 'up'. Supported values are: 'asc' and 'desc'."
    _refused(lists[operation], message, "invalid_value", order="up")


@each
def test_cursors_that_are_nothing(lists: dict[str, List], operation: str) -> None:
    for name in ("after", "before"):
        with pytest.raises(openai.NotFoundError) as caught:
            lists[operation].call(extra_query={name: "msg_none"})
        assert "msg_none" in caught.value.message


@each
def test_a_parameter_that_is_none(lists: dict[str, List], operation: str) -> None:
    """Queries are not as strict as bodies: Azure's `api-version` and what a client adds for itself pass."""
    assert _ids(lists[operation].call(limit=1, extra_query={"api-version": "2024-05-01-preview"}))


@pytest.mark.parametrize("operation", ["listVectorStoreFiles", "listFilesInVectorStoreBatch"])
def test_filter(lists: dict[str, List], operation: str) -> None:
    one = lists[operation]
    assert _ids(one.call(filter="completed")) == one.ids
    for status in ("in_progress", "failed", "cancelled"):
        assert _ids(one.call(filter=status)) == []
    message = "Invalid value: 'x'. Supported values are: 'in_progress', 'completed', 'failed', and 'cancelled'."
    _refused(one, message, "invalid_value", filter="x")


def test_include_of_steps(lists: dict[str, List]) -> None:
    content = "step_details.tool_calls[*].file_search.results[*].content"
    assert len(lists["listRunSteps"].call(include=[content]).data) == COUNT
    message = f"Invalid value: 'x'. Value must be '{content}'."
    _refused(lists["listRunSteps"], message, "invalid_value", "include[0]", include=["x"])


def test_messages_of_a_run(client: OpenAI, lists: dict[str, List]) -> None:
    listed = client.beta.threads.messages.list
    runs = lists["listRuns"].call().data
    for run in runs:
        (message,) = listed(run.thread_id, run_id=run.id).data
        assert message.run_id == run.id
    assert listed(runs[0].thread_id, run_id="run_none").data == []
    assert len(listed(runs[0].thread_id).data) == COUNT + 1


def _refused(one: List, message: str, code: str, param: str | None = None, **how: Any) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        one.call(**how)
    expected = {"message": message, "type": "invalid_request_error", "param": param or next(iter(how)), "code": code}
    assert caught.value.body == expected
