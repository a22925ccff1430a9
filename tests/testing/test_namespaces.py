"""The API key is the namespace: nothing of one is seen in another, and a reset leaves nothing."""

from pathlib import Path

import httpx
import pytest
from openai import NotFoundError

from tests.server_process import ServerProcess
from tests.testing.conftest import Space
from understudy.services import Services
from understudy.settings import Settings
from understudy.testing.namespaces import open_namespaces
from understudy_sandbox import Sandbox


def test_nothing_is_seen_across_keys(space: Space, other: Space) -> None:
    run, file = space.run(), space.client.files.create(file=("a.txt", b"mine"), purpose="assistants")
    store = space.client.vector_stores.create(name="mine")
    assert other.client.beta.assistants.list().data == []
    assert other.client.files.list().data == []
    with pytest.raises(NotFoundError):
        other.client.beta.threads.retrieve(run.thread_id)
    with pytest.raises(NotFoundError):
        other.client.files.retrieve(file.id)
    with pytest.raises(NotFoundError):
        other.client.vector_stores.retrieve(store.id)
    assert space.client.files.retrieve(file.id) == file


def test_each_has_the_chosen_id_of_the_other(space: Space, other: Space) -> None:
    for one in (space, other):
        created = one.client.beta.assistants.create(model="gpt-4o", extra_body={"id": "asst_chosen"})
        assert created.id == "asst_chosen"


def test_control_touches_one_key_only(space: Space, other: Space) -> None:
    kept = other.assistant()
    space.control("PUT", "/seed", {"seed": 1})
    space.control("POST", "/clock/freeze", {"at": 1_000_000})
    space.control("PUT", "/timing", {"polls": 5})
    space.fault(match="**", status=500, times=None)
    space.control("POST", "/reset")
    assert other.client.beta.assistants.retrieve(kept.id) == kept
    assert other.control("GET", "/clock")["frozen"] is False
    assert other.assistant().created_at > 1_000_000
    assert other.control("GET", "/faults")["data"] == []


def test_a_reset_leaves_nothing(space: Space) -> None:
    run = space.run()
    space.control("PUT", "/seed", {"seed": 1})
    space.control("POST", "/clock/freeze", {"at": 1_000_000})
    space.fault(match="**", status=500, times=None)
    space.control("POST", "/reset")
    with pytest.raises(NotFoundError):
        space.client.beta.threads.retrieve(run.thread_id)
    assert space.client.beta.assistants.list().data == []
    assert space.assistant().created_at > 1_000_000
    assert [entry["path"] for entry in space.control("GET", "/requests")["data"]] == [
        f"/v1/threads/{run.thread_id}",
        "/v1/assistants",
        "/v1/assistants",
    ]


def test_a_reset_ends_what_was_at_work(space: Space) -> None:
    space.control("PUT", "/timing", {"polls": 1000})
    with space.client.beta.threads.create_and_run_stream(
        assistant_id=space.assistant().id, thread={"messages": [{"role": "user", "content": "hello"}]}
    ) as stream:
        for event in stream:
            if event.event == "thread.run.in_progress":
                space.control("POST", "/reset")
        run = stream.current_run
    assert run is not None
    assert run.status == "failed"


def test_code_of_threads_with_one_id_is_apart(space: Space, other: Space) -> None:
    """Under one seed both threads have one id, and their code one folder each."""
    outputs = []
    for one, code in ((space, "open('mine.txt', 'w').write('x')"), (other, "import os; print(os.listdir())")):
        one.control("PUT", "/seed", {"seed": 7})
        run = one.client.beta.threads.create_and_run_poll(
            assistant_id=one.assistant(tools=[{"type": "code_interpreter"}]).id,
            thread={"messages": [{"role": "user", "content": f"```python\n{code}\n```"}]},
        )
        steps = one.client.beta.threads.runs.steps.list(run.id, thread_id=run.thread_id, order="asc").data
        outputs.append((run.thread_id, steps[0].step_details.model_dump_json()))
    assert outputs[0][0] == outputs[1][0]
    assert "mine.txt" in outputs[0][1]
    assert "mine.txt" not in outputs[1][1]


def test_without_test_mode_there_are_no_control_routes(offline_server: ServerProcess) -> None:
    for method, path in (("POST", "reset"), ("GET", "clock"), ("POST", "faults")):
        assert httpx.request(method, f"{offline_server.root}/_understudy/{path}").status_code == 404


def test_a_restart_begins_with_nothing(tmp_path: Path) -> None:
    process = ServerProcess(tmp_path / "data", "--test-api")
    one = Space(process, "sk-one")
    assistant = one.assistant()
    process.kill()
    process.start()
    again = Space(process, "sk-one")
    assert assistant.id not in {found.id for found in again.client.beta.assistants.list()}
    one.close()
    again.close()
    assert process.stop() == 0, process.log()
    assert not (tmp_path / "data" / "namespaces").exists()


@pytest.mark.anyio
async def test_a_late_answer_is_not_written_into_another_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("understudy.testing.world._GRACE_SECONDS", 0.1)
    settings, sandbox = Settings(data_dir=tmp_path, test_api=True), Sandbox(root=tmp_path / "sandbox")
    async with open_namespaces(settings, None, sandbox) as namespaces:
        at_work = namespaces._base.supervisor._tasks

        async def ended(left: Services) -> None:
            if world := at_work.get(f"world {left.settings.data_dir.name}"):
                await world.wait()

        for late in (True, False):
            async with namespaces.of("key").entered() as left:
                await namespaces.reset("key")
                if late:
                    await ended(left)
            await ended(left)
            async with namespaces.of(f"other, {late=}").entered() as services:
                assert (services.database is left.database) is not late
    await sandbox.aclose()
