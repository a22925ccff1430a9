"""Ids from a seed, and chosen ones."""

import httpx

from tests.testing.conftest import Space


def everything(space: Space) -> list[str]:
    """Ids of each kind of object, made the same way."""
    client = space.client
    file = client.files.create(file=("a.txt", b"text"), purpose="assistants")
    store = client.vector_stores.create(name="s", file_ids=[file.id])
    assistant = space.assistant()
    run = client.beta.threads.create_and_run_poll(
        assistant_id=assistant.id, thread={"messages": [{"role": "user", "content": "hello"}]}
    )
    messages = client.beta.threads.messages.list(run.thread_id).data
    steps = client.beta.threads.runs.steps.list(run.id, thread_id=run.thread_id).data
    return [
        file.id,
        store.id,
        assistant.id,
        run.thread_id,
        run.id,
        *(one.id for one in messages),
        *(one.id for one in steps),
    ]


def test_a_seed_gives_the_same_ids_again(space: Space, other: Space) -> None:
    drawn = []
    for one in (space, other):
        one.control("PUT", "/seed", {"seed": 42})
        drawn.append(everything(one))
    space.control("POST", "/reset")
    space.control("PUT", "/seed", {"seed": 42})
    assert drawn[0] == drawn[1] == everything(space)
    assert len(set(drawn[0])) == len(drawn[0])
    space.control("POST", "/reset")
    space.control("PUT", "/seed", {"seed": 43})
    assert not set(everything(space)) & set(drawn[0])


def test_a_null_seed_is_chance(space: Space) -> None:
    space.control("PUT", "/seed", {"seed": 42})
    first = space.assistant().id
    space.control("PUT", "/seed", {"seed": None})
    space.assistant()
    space.control("PUT", "/seed", {"seed": None})
    assert space.assistant().id != first


def test_chosen_ids_come_first(space: Space) -> None:
    space.control("PUT", "/ids", {"thread": ["thread_one", "thread_two"], "run": ["run_mine"]})
    runs = [space.run(), space.run()]
    assert [run.thread_id for run in runs] == ["thread_one", "thread_two"]
    assert runs[0].id == "run_mine"
    assert runs[1].id != "run_mine"


def test_a_chosen_id_needs_its_prefix(space: Space) -> None:
    refused = space.http.put("/ids", json={"thread": ["run_1"]})
    assert refused.status_code == httpx.codes.BAD_REQUEST
    assert "thread" in refused.json()["error"]["message"]
