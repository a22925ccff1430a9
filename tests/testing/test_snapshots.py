"""Snapshots: all objects, contents, code's files, time and ids as they were."""

from openai import OpenAI

from tests.testing.conftest import Space


def listed(client: OpenAI) -> tuple[list[str], ...]:
    return tuple(
        [one.id for one in resource.list()] for resource in (client.beta.assistants, client.files, client.vector_stores)
    )


def code(space: Space, thread_id: str, assistant_id: str, text: str) -> str:
    """What a run with this code printed."""
    space.client.beta.threads.messages.create(thread_id, role="user", content=f"```python\n{text}\n```")
    run = space.client.beta.threads.runs.create_and_poll(thread_id=thread_id, assistant_id=assistant_id)
    steps = space.client.beta.threads.runs.steps.list(run.id, thread_id=thread_id, order="asc").data
    return steps[0].step_details.model_dump_json()


def test_all_is_as_it_was(space: Space) -> None:
    client = space.client
    space.control("PUT", "/seed", {"seed": 5})
    space.control("POST", "/clock/freeze", {"at": 1_700_000_000})
    assistant = space.assistant(tools=[{"type": "code_interpreter"}])
    file = client.files.create(file=("a.txt", b"Understudies learn every part."), purpose="assistants")
    store = client.vector_stores.create(name="s")
    client.vector_stores.files.create_and_poll(file.id, vector_store_id=store.id)
    thread = client.beta.threads.create()
    code(space, thread.id, assistant.id, "open('kept.txt', 'w').write('kept')")
    before = listed(client)
    snapshot = space.control("POST", "/snapshots")["id"]

    next_thread = client.beta.threads.create().id
    client.files.delete(file.id)
    client.beta.assistants.delete(assistant.id)
    client.beta.threads.delete(thread.id)
    space.control("POST", "/clock/advance", {"days": 1})
    for _ in range(2):
        space.control("POST", f"/snapshots/{snapshot}/restore")
        assert listed(client) == before
        assert client.files.retrieve(file.id).bytes == len(b"Understudies learn every part.")
        assert client.beta.threads.create().id == next_thread
        assert client.beta.threads.retrieve(next_thread).created_at == 1_700_000_000
        found = client.vector_stores.search(store.id, query="who learns every part?").data
        assert [one.file_id for one in found] == [file.id]
        assert "kept" in code(space, thread.id, assistant.id, "print(open('kept.txt').read())")


def test_a_snapshot_outlives_a_reset(space: Space, other: Space) -> None:
    assistant = space.assistant()
    snapshot = space.control("POST", "/snapshots")["id"]
    space.control("POST", "/reset")
    space.control("POST", f"/snapshots/{snapshot}/restore")
    assert space.client.beta.assistants.retrieve(assistant.id) == assistant
    assert other.http.post(f"/snapshots/{snapshot}/restore").status_code == 404
