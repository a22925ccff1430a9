"""The code interpreter through the API: real kernels behind the real wall, only the model scripted."""

import time
from pathlib import Path
from typing import Any

import pytest
from openai import OpenAI

from tests.conftest import official_client
from tests.runs.streams import CODE, assistant_with, stream, thread_with
from tests.scripted_upstream import Reply, ScriptedUpstream
from tests.server_process import ServerProcess

CSV = b"month,revenue\nJan,12000\nMay,22000\n"


def _code(source: str) -> Reply:
    return Reply(calls=[("code_interpreter", {"code": source})])


def _run(client: OpenAI, thread: str, assistant: str) -> Any:
    run = client.beta.threads.runs.create_and_poll(thread_id=thread, assistant_id=assistant)
    assert run.status == "completed", run.last_error
    return run


def _outputs(client: OpenAI, run: Any) -> list[Any]:
    steps = client.beta.threads.runs.steps.list(run.id, thread_id=run.thread_id, order="asc")
    calls = [call for step in steps if step.type == "tool_calls" for call in step.step_details.tool_calls]  # type: ignore[union-attr]
    return [[output.to_dict() for output in call.code_interpreter.outputs] for call in calls]  # type: ignore[union-attr]


def _answer(client: OpenAI, thread: str) -> Any:
    return client.beta.threads.messages.list(thread).data[0]


def test_files_state_and_isolation(client: OpenAI, upstream: ScriptedUpstream) -> None:
    upload = [client.files.create(file=(f"{name}.csv", CSV), purpose="assistants").id for name in "abc"]
    listing = "import os; print(sorted(os.listdir('/mnt/data')))"
    model = upstream.script(
        _code(f"x = 41\n{listing}"), Reply("one"), _code("x + 1"), Reply("two"), _code(f"{listing}\nx"), Reply("three")
    )
    assistant = assistant_with(client, model, [CODE], tool_resources={"code_interpreter": {"file_ids": upload[:1]}})
    thread = client.beta.threads.create(tool_resources={"code_interpreter": {"file_ids": upload[1:2]}}).id
    attachment: Any = {"file_id": upload[2], "tools": [CODE]}
    client.beta.threads.messages.create(thread, role="user", content="go", attachments=[attachment])
    assert _outputs(client, _run(client, thread, assistant)) == [
        [{"type": "logs", "logs": "['a.csv', 'b.csv', 'c.csv']\n"}]
    ]
    client.beta.threads.messages.create(thread, role="user", content="go on")
    assert _outputs(client, _run(client, thread, assistant))[0][0]["logs"].strip() == "42"
    other = _outputs(client, _run(client, thread_with(client), assistant))
    assert "['a.csv']" in str(other)
    assert "NameError: name 'x' is not defined" in str(other)


def test_files_that_the_answer_links_to(client: OpenAI, server: ServerProcess, upstream: ScriptedUpstream) -> None:
    code = "for n in ('out.csv', 'my report.txt'):\n    open('/mnt/data/' + n, 'w').write('made ' + n)"
    text = (
        "Ünder [the table](sandbox:/mnt/data/out.csv), sandbox:/mnt/data/my report.txt, "
        "[it](sandbox:/mnt/data/out.csv) and not sandbox:/mnt/data/none.txt.\nBye."
    )
    pieces = [text[start : start + 7] for start in range(0, len(text), 7)]
    thread = thread_with(client)
    assistant = assistant_with(client, upstream.script(_code(code), Reply(pieces=pieces)), [CODE])
    events = stream(server, f"/threads/{thread}/runs", assistant_id=assistant)
    assert events.text() == text
    (message,) = events.of("thread.message.completed")
    block = message["content"][0]["text"]
    assert block["value"] == text
    links = [annotation["text"] for annotation in block["annotations"]]
    assert links == ["sandbox:/mnt/data/out.csv", "sandbox:/mnt/data/my report.txt", "sandbox:/mnt/data/out.csv"]
    for annotation in block["annotations"]:
        assert text[annotation["start_index"] : annotation["end_index"]] == annotation["text"]
        file = client.files.retrieve(annotation["file_path"]["file_id"])
        assert file.purpose == "assistants_output"
        assert client.files.content(file.id).read().decode() == f"made {file.filename}"
    ids = [annotation["file_path"]["file_id"] for annotation in block["annotations"]]
    assert ids[0] == ids[2]
    assert [attachment["file_id"] for attachment in message["attachments"]] == list(dict.fromkeys(ids))
    streamed = [
        annotation
        for delta in events.of("thread.message.delta")
        for part in delta["delta"]["content"]
        for annotation in part["text"].get("annotations", [])
    ]
    assert [annotation.pop("index") for annotation in streamed] == [0, 1, 2]
    assert streamed == block["annotations"]


def test_outputs_come_while_the_code_runs(client: OpenAI, server: ServerProcess, upstream: ScriptedUpstream) -> None:
    code = "import time\nprint('first', flush=True)\ntime.sleep(1.5)\nprint('second')"
    assistant = assistant_with(client, upstream.script(_code("1"), _code(code), Reply("ok")), [CODE])
    seen: dict[str, float] = {}
    with client.beta.threads.runs.stream(thread_id=thread_with(client), assistant_id=assistant) as events:
        for event in events:
            if event.event == "thread.run.step.delta":
                for word in ("first", "second"):
                    if "logs" in str(event.data) and word in str(event.data):
                        seen.setdefault(word, time.monotonic())
    assert seen["second"] - seen["first"] > 1


def test_an_error_goes_to_the_model(client: OpenAI, upstream: ScriptedUpstream) -> None:
    model = upstream.script(_code("print('before')\n1 / 0"), Reply("sorry"))
    _run(client, thread_with(client), assistant_with(client, model, [CODE]))
    told = upstream.requests[model][1]["messages"][-1]["content"]
    assert told.startswith("before")
    assert "ZeroDivisionError" in told
    assert "\x1b[" not in told


def test_bare_code_in_the_place_of_json(client: OpenAI, server: ServerProcess, upstream: ScriptedUpstream) -> None:
    model = upstream.script(Reply(calls=[("code_interpreter", "print('bare', {1: 2})")]), Reply("ok"))
    thread = thread_with(client)
    events = stream(server, f"/threads/{thread}/runs", assistant_id=assistant_with(client, model, [CODE]))
    (step, _) = events.of("thread.run.step.completed")
    (call,) = step["step_details"]["tool_calls"]
    assert call["code_interpreter"]["input"] == "print('bare', {1: 2})"
    assert call["code_interpreter"]["outputs"][0]["logs"].strip() == "bare {1: 2}"
    inputs = [
        part["code_interpreter"].get("input", "")
        for delta in events.of("thread.run.step.delta")
        for part in delta["delta"]["step_details"]["tool_calls"]
    ]
    assert "".join(inputs) == "print('bare', {1: 2})"


def test_a_call_has_its_time_and_the_thread_lives_on(upstream: ScriptedUpstream, tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "data", "--upstream", upstream.url, "--sandbox-timeout", "1")
    with official_client(server) as client:
        model = upstream.script(
            _code("x = 1\nwhile True: pass"), _code("import os; os._exit(1)"), _code("2 + 2"), Reply()
        )
        thread = thread_with(client)
        outputs = _outputs(client, _run(client, thread, assistant_with(client, model, [CODE])))
        assert "1 s" in str(outputs[0])
        assert "4" in str(outputs[2])
        assert "/mnt/data" in str(outputs[2]), "the model is told that the kernel is a new one"
        assert _answer(client, thread).content[0].text.value == ""
    assert server.stop() == 0


def test_a_jail_has_its_room_and_the_thread_lives_on(upstream: ScriptedUpstream, tmp_path: Path) -> None:
    flags = ("--sandbox-memory", "192MiB", "--sandbox-disk", "64MiB", "--sandbox-processes", "32")
    server = ServerProcess(tmp_path / "data", "--upstream", upstream.url, *flags)
    forks = "import os\ntry:\n while os.fork(): pass\n import time; time.sleep(60)\nexcept OSError: print('refused')"
    with official_client(server) as client:
        model = upstream.script(
            _code("open('kept', 'w').close(); x = [bytearray(b'x') * 2**24 for _ in range(16)]\nwhile True: pass"),
            _code("for i in range(4): open(f'big{i}', 'wb').write(b'x' * (30 << 20))\nwhile True: pass"),
            _code(forks),
            _code("import os; print('kept' in os.listdir(), 2 + 2)"),
            Reply("done"),
        )
        thread = thread_with(client)
        memory, disk, processes, after = _outputs(client, _run(client, thread, assistant_with(client, model, [CODE])))
    assert "more than 192 MiB of memory" in str(memory)
    assert "more than 64 MiB of files" in str(disk)
    assert "big" in str(disk), "the model is told what was deleted"
    assert "variables and imports are gone" in str(processes)
    assert "refused" in str(processes)
    assert after == [{"type": "logs", "logs": "True 4\n"}]
    assert server.stop() == 0


@pytest.mark.parametrize("wall", ["off", "unsafe-local"])
def test_without_a_wall(wall: str, upstream: ScriptedUpstream, tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "data", "--upstream", upstream.url, "--sandbox", wall)
    sandbox = server.health()["sandbox"]
    assert isinstance(sandbox, dict)
    with official_client(server) as client:
        model = upstream.script(_code("print(6 * 7)"), Reply("42"))
        run = client.beta.threads.runs.create_and_poll(
            thread_id=thread_with(client), assistant_id=assistant_with(client, model, [CODE])
        )
        if wall == "off":
            assert sandbox["wall"] is None
            assert run.status == "failed"
            assert run.last_error is not None
            assert run.last_error.message == sandbox["hint"]
            assert "--sandbox" in run.last_error.message
        else:
            assert sandbox["wall"] == "unsafe-local"
            assert sandbox["hint"]
            assert run.status == "completed"
            assert sandbox["hint"] in server.log()
    assert server.stop() == 0


def test_deleting_a_thread_deletes_its_files(client: OpenAI, server: ServerProcess, upstream: ScriptedUpstream) -> None:
    model = upstream.script(_code("open('/mnt/data/trace.txt', 'w').write('x')"), Reply("ok"))
    thread = thread_with(client)
    _run(client, thread, assistant_with(client, model, [CODE]))
    assert list(server.data_dir.glob("sandbox/*/data/trace.txt"))
    client.beta.threads.delete(thread)
    assert not list(server.data_dir.glob("sandbox/*/data/trace.txt"))


def test_files_of_threads_that_are_gone_do_not_outlive_a_restart(upstream: ScriptedUpstream, tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "data", "--upstream", upstream.url)
    with official_client(server) as client:
        model = upstream.script(_code("open('trace.txt', 'w').write('x')"), Reply("ok"))
        _run(client, thread_with(client), assistant_with(client, model, [CODE]))
    (kept,) = server.data_dir.glob("sandbox/*/data/trace.txt")
    server.kill()  # say, between a thread's deletion and that of its files
    gone = kept.parents[1].with_name(kept.parents[1].name[::-1])
    (gone / "data").mkdir(parents=True)
    server.start()
    assert kept.exists()
    assert not gone.exists()
    assert server.stop() == 0
