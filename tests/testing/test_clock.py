"""Time at hand: frozen, moved on, with everything done that falls due on the way."""

import time

import pytest
from openai import BadRequestError

from tests.testing.conftest import Space

WEATHER = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {}}}}


def test_frozen_time_is_on_all_objects(space: Space) -> None:
    assert space.control("POST", "/clock/freeze", {"at": 1_700_000_000}) == {"now": 1_700_000_000, "frozen": True}
    run = space.client.beta.threads.create_and_run_poll(
        assistant_id=space.assistant().id, thread={"messages": [{"role": "user", "content": "hello"}]}
    )
    assert (run.created_at, run.started_at, run.completed_at) == (1_700_000_000,) * 3
    space.control("POST", "/clock/advance", {"hours": 1, "seconds": 5})
    assert space.client.beta.threads.create().created_at == 1_700_003_605


def test_time_runs_on_after_it_was_moved(space: Space) -> None:
    before = space.client.beta.threads.create().created_at
    space.control("POST", "/clock/advance", {"days": 2})
    after = space.client.beta.threads.create().created_at
    assert 2 * 86_400 <= after - before < 2 * 86_400 + 60
    space.control("POST", "/clock/freeze")
    assert space.control("POST", "/clock/resume")["frozen"] is False
    assert space.client.beta.threads.create().created_at >= after


def test_a_run_that_waits_expires(space: Space) -> None:
    run = space.run("call get_weather", tools=[WEATHER])
    while run.status != "requires_action":
        run = space.again(run)
    space.control("POST", "/clock/advance", {"minutes": 9})
    assert space.again(run).status == "requires_action"
    space.control("POST", "/clock/advance", {"minutes": 2})
    assert space.again(run).status == "expired"
    with pytest.raises(BadRequestError, match="expired"):
        space.client.beta.threads.runs.submit_tool_outputs(run.id, thread_id=run.thread_id, tool_outputs=[])


def test_files_and_stores_expire(space: Space) -> None:
    file = space.client.files.create(
        file=("a.txt", b"text"), purpose="assistants", expires_after={"anchor": "created_at", "seconds": 3600}
    )
    store = space.client.vector_stores.create(name="s", expires_after={"anchor": "last_active_at", "days": 1})
    space.control("POST", "/clock/advance", {"hours": 2})
    assert file.id not in {one.id for one in space.client.files.list()}
    assert space.client.vector_stores.retrieve(store.id).status == "completed"
    space.control("POST", "/clock/advance", {"days": 1})
    assert space.client.vector_stores.retrieve(store.id).status == "expired"


def test_runs_take_so_many_polls(space: Space) -> None:
    space.control("PUT", "/timing", {"polls": 3})
    run = space.run()
    assert [space.again(run).status for _ in range(5)] == ["in_progress"] * 3 + ["completed"] * 2


def test_a_run_that_has_ended_is_not_held(space: Space) -> None:
    run = space.client.beta.threads.create_and_run_poll(
        assistant_id=space.assistant().id, thread={"messages": [{"role": "user", "content": "hello"}]}
    )
    space.control("PUT", "/timing", {"polls": 100})
    began = time.monotonic()
    assert space.again(run).status == "completed"
    # A held poll is answered after five seconds at the latest.
    assert time.monotonic() - began < 4


def test_runs_take_so_many_seconds(space: Space) -> None:
    space.control("PUT", "/timing", {"seconds": 30})
    space.control("POST", "/clock/freeze")
    runs = [space.run(), space.run()]
    space.control("POST", "/clock/advance", {"seconds": 29})
    assert [space.again(run).status for run in runs] == ["in_progress"] * 2
    space.control("POST", "/clock/advance", {"seconds": 1})
    assert [space.again(run).status for run in runs] == ["completed"] * 2


def test_a_run_expires_before_it_is_done(space: Space) -> None:
    """Both fall due within one step: what comes first happens first."""
    space.control("PUT", "/timing", {"seconds": 700})
    space.control("POST", "/clock/freeze")
    run = space.run()
    space.control("POST", "/clock/advance", {"seconds": 1000})
    assert space.again(run).status == "expired"


def test_a_polled_run_takes_no_pause(space: Space) -> None:
    """The answer tells the client to ask again soon, and waits for the run itself."""
    run = space.run()
    raw = space.client.beta.threads.runs.with_raw_response.retrieve(run.id, thread_id=run.thread_id)
    assert raw.headers["openai-poll-after-ms"] == "20"
