"""Nothing leaks: what a namespace shows is the same whether or not somebody is at work in another one."""

import itertools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.server_process import ServerProcess

_numbers = itertools.count(1)
NOW = 1_700_000_000
SCRIPT = "rules:\n  - {when: {user: hello}, times: 1, reply: 'Hi!'}\n  - {reply: '${user}'}\n"


class Visitor:
    """Somebody with a key, who writes down what is answered. Ids and times would repeat if he were alone."""

    def __init__(self, server: ServerProcess, name: str) -> None:
        self._http = httpx.Client(
            base_url=server.root,
            headers={"Authorization": f"Bearer sk-{name}-{next(_numbers)}", "OpenAI-Beta": "assistants=v2"},
            timeout=60,
        )
        self._name = name
        self.seen: list[object] = []
        self.snapshots: list[str] = []
        self.begin()

    def begin(self) -> None:
        self.ask("PUT", "/_understudy/seed", {"seed": self._name})
        self.ask("POST", "/_understudy/clock/freeze", {"at": NOW})

    def ask(self, method: str, path: str, body: Any = None, files: Any = None) -> Any:
        """The answer, which is not written down."""
        return self._http.request(method, path, json=None if files else body, data=body if files else None, files=files)

    def note(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        """The answer, written down."""
        answer = self.ask(method, path, body, **more)
        self.seen.append((method, path, answer.status_code, answer.json()))
        return answer.json()

    def newest(self, resource: str) -> str:
        """The id of the last object in a list, or of one that both visitors may make."""
        found = self.ask("GET", f"/v1/{resource}").json().get("data") or [{"id": "asst_shared"}]
        return str(found[0]["id"])

    def close(self) -> None:
        self._http.close()


def make_assistant(one: Visitor) -> None:
    one.note("POST", "/v1/assistants", {"model": "gpt-4o", "name": f"number {len(one.seen)}"})


def choose_id(one: Visitor) -> None:
    one.note("PUT", "/_understudy/ids", {"asst": ["asst_shared"], "file": ["file-shared"]})


def look_around(one: Visitor) -> None:
    for path in ("assistants", "files", "vector_stores", "assistants/asst_shared", "files/file-shared/content"):
        if path.endswith("content"):
            one.seen.append(one.ask("GET", f"/v1/{path}").content)
        else:
            one.note("GET", f"/v1/{path}")


def delete_assistant(one: Visitor) -> None:
    one.note("DELETE", f"/v1/assistants/{one.newest('assistants')}")


def upload(one: Visitor) -> None:
    content = f"{len(one.seen)}".encode()
    one.note("POST", "/v1/files", {"purpose": "assistants"}, files={"file": ("a.txt", content, "text/plain")})


def make_store(one: Visitor) -> None:
    one.note("POST", "/v1/vector_stores", {"name": "s", "expires_after": {"anchor": "last_active_at", "days": 1}})


def run(one: Visitor) -> None:
    assistant = one.ask("POST", "/v1/assistants", {"model": "gpt-4o"}).json().get("id", "asst_shared")
    body = {"assistant_id": assistant, "thread": {"messages": [{"role": "user", "content": "hello"}]}}
    begun = one.ask("POST", "/v1/threads/runs", body).json()
    path = f"/v1/threads/{begun.get('thread_id')}/runs/{begun.get('id')}"
    while one.ask("GET", path).json().get("status") in ("queued", "in_progress"):
        pass
    one.note("GET", path)
    one.note("GET", f"/v1/threads/{begun.get('thread_id')}/messages")


def set_script(one: Visitor) -> None:
    one.note("PUT", "/_understudy/script", {"text": SCRIPT})


def slow_down(one: Visitor) -> None:
    one.note("PUT", "/_understudy/timing", {"polls": 2})


def add_fault(one: Visitor) -> None:
    one.note("POST", "/_understudy/faults", {"match": "/v1/assistants", "status": 418, "times": 2})


def fail_run(one: Visitor) -> None:
    one.note("POST", "/_understudy/faults", {"fail_run": "server_error"})


def advance(one: Visitor) -> None:
    one.note("POST", "/_understudy/clock/advance", {"hours": 30})


def reset(one: Visitor) -> None:
    one.note("POST", "/_understudy/reset")
    one.begin()


def take_snapshot(one: Visitor) -> None:
    one.snapshots.append(one.ask("POST", "/_understudy/snapshots").json()["id"])


def restore(one: Visitor) -> None:
    for snapshot in one.snapshots[-1:]:
        assert one.ask("POST", f"/_understudy/snapshots/{snapshot}/restore").status_code == 200


def read_journal(one: Visitor) -> None:
    for what in ("faults", "model_calls", "runs", "clock"):
        one.note("GET", f"/_understudy/{what}")
    requests = one.ask("GET", "/_understudy/requests").json()["data"]
    # Polls are as many as it takes.
    one.seen.append([entry for entry in requests if entry["method"] != "GET"])


Act = Callable[[Visitor], None]
ACTS: list[Act] = [
    *(make_assistant, choose_id, look_around, delete_assistant, upload, make_store, run, set_script, slow_down),
    *(add_fault, fail_run, advance, reset, take_snapshot, restore, read_journal),
]
acts = st.lists(st.sampled_from(ACTS), min_size=2, max_size=10).map(lambda some: [*some, look_around, read_journal])


def visit(server: ServerProcess, name: str, acts: Sequence[Act]) -> list[object]:
    """What somebody sees who does all of this."""
    one = Visitor(server, name)
    try:
        for act in acts:
            act(one)
    finally:
        one.close()
    return one.seen


@settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],  # to find a shorter example takes minutes on a real server
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(first=acts, second=acts)
def test_nothing_leaks(testing_server: ServerProcess, first: list[Act], second: list[Act]) -> None:
    with ThreadPoolExecutor(2) as both:
        together = [both.submit(visit, testing_server, name, acts) for name, acts in (("one", first), ("two", second))]
    assert together[0].result() == visit(testing_server, "one", first)
    assert together[1].result() == visit(testing_server, "two", second)
