"""File search in runs, through the API: real parsing, real embeddings, a real index, only the model scripted."""

import itertools
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.conftest import official_client
from tests.runs.streams import CODE, JSON, Events, assistant_with, function, stream, thread_with
from tests.scripted_upstream import Reply, ScriptedUpstream
from tests.server_process import ServerProcess
from understudy_retrieval.tokens import count

SEARCH: JSON = {"type": "file_search"}
CONTENT = "step_details.tool_calls[*].file_search.results[*].content"
RANKING = {"ranker": "default_2024_08_21", "score_threshold": 0.0}
FOODS = "Ada's favourite food is lasagne. She eats it every Sunday with her neighbours."
BIKES = "The bicycle shop in Ghent opens at nine and closes at six. Repairs take two days."


def store_with(client: OpenAI, **files: str) -> str:
    """A vector store with text files, all of them searchable."""
    store = client.vector_stores.create(name="notes")
    uploads = [(f"{name}.txt", text.encode()) for name, text in files.items()]
    batch = client.vector_stores.file_batches.upload_and_poll(store.id, files=uploads)
    assert batch.file_counts.completed == len(files)
    return store.id


def searching(client: OpenAI, model: str, *stores: str, tools: list[JSON] | None = None, **settings: Any) -> str:
    """An assistant that searches these stores."""
    resources = {"file_search": {"vector_store_ids": list(stores)}} if stores else {}
    return assistant_with(client, model, tools or [SEARCH], tool_resources=resources, **settings)


def look_for(*queries: str) -> Reply:
    return Reply(calls=[("file_search", {"query": query}) for query in queries])


def run_on(client: OpenAI, assistant: str, thread: str | None = None, **settings: Any) -> Any:
    run = client.beta.threads.runs.create_and_poll(
        thread_id=thread or thread_with(client), assistant_id=assistant, **settings
    )
    assert run.status == "completed", run.last_error
    return run


def searches(client: OpenAI, run: Any, **params: Any) -> list[JSON]:
    steps = client.beta.threads.runs.steps.list(run.id, thread_id=run.thread_id, order="asc", **params)
    details: list[Any] = [step.to_dict()["step_details"] for step in steps if step.type == "tool_calls"]
    return [call for one in details for call in one["tool_calls"] if call["type"] == "file_search"]


def answer(client: OpenAI, run: Any) -> Any:
    return client.beta.threads.messages.list(run.thread_id, run_id=run.id).data[0].content[0].text  # type: ignore[union-attr]


def test_a_stream_as_recorded(client: OpenAI, server: ServerProcess, upstream: ScriptedUpstream) -> None:
    text = "Élodie 😀: lasagne【0:0†foods.txt】, twice【0:0†foods.txt】; not 【0:7†foods.txt】."
    model = upstream.script(look_for("favourite food"), Reply(pieces=[text[i : i + 4] for i in range(0, len(text), 4)]))
    assistant = searching(client, model, store_with(client, foods=FOODS))
    events = stream(server, f"/threads/{thread_with(client)}/runs", assistant_id=assistant)
    assert events.collapsed() == [
        *("run.created", "run.queued", "run.in_progress"),
        *("run.step.created", "run.step.in_progress", "run.step.delta", "run.step.completed"),
        *("run.step.created", "run.step.in_progress", "message.created", "message.in_progress", "message.delta"),
        *("message.completed", "run.step.completed", "run.completed", "done"),
    ]
    (delta,) = events.of("thread.run.step.delta")
    (call,) = delta["delta"]["step_details"]["tool_calls"]
    assert call.pop("id").startswith("call_")
    assert call == {"index": 0, "type": "file_search", "file_search": {"ranking_options": RANKING, "results": []}}
    (result,) = _completed_search(events)["results"]
    assert result.keys() == {"file_id", "file_name", "score", "attributes"}
    assert (result["file_name"], 0 < result["score"] <= 1) == ("foods.txt", True)
    _check_citations(events, text, result["file_id"])


def _completed_search(events: Events) -> JSON:
    step = events.of("thread.run.step.completed")[0]
    (call,) = step["step_details"]["tool_calls"]
    assert call.keys() == {"id", "type", "file_search"}
    assert call["file_search"]["ranking_options"] == RANKING
    return dict(call["file_search"])


def _check_citations(events: Events, text: str, file_id: str) -> None:
    assert events.text() == text
    parts = [part["text"] for delta in events.of("thread.message.delta") for part in delta["delta"]["content"]]
    assert all(len(delta["delta"]["content"]) == 1 for delta in events.of("thread.message.delta"))
    cited = [part for part in parts if part.get("annotations")]
    assert [part["value"] for part in cited] == ["【0:0†foods.txt】"] * 2
    assert [part["annotations"][0]["index"] for part in cited] == [0, 1]
    assert cited[0]["annotations"][0]["file_citation"] == {"file_id": file_id, "quote": ""}
    (message,) = events.of("thread.message.completed")
    stored = message["content"][0]["text"]["annotations"]
    assert [one["file_citation"] for one in stored] == [{"file_id": file_id}] * 2
    assert {text[one["start_index"] : one["end_index"]] for one in stored} == {"【0:0†foods.txt】"}
    assert stored[0]["start_index"] != stored[1]["start_index"]
    assert "index" not in stored[0]
    assert message["attachments"] == []


def test_content_where_it_is_asked_for(client: OpenAI, server: ServerProcess, upstream: ScriptedUpstream) -> None:
    model = upstream.script(look_for("favourite food"), Reply("ok"), look_for("favourite food"), Reply("ok"))
    assistant = searching(client, model, store_with(client, foods=FOODS))
    run = run_on(client, assistant)
    (bare,) = searches(client, run)[0]["file_search"]["results"]
    (full,) = searches(client, run, include=[CONTENT])[0]["file_search"]["results"]
    assert full == bare | {"content": [{"type": "text", "text": FOODS}]}
    steps = client.beta.threads.runs.steps.list(run.id, thread_id=run.thread_id, order="asc").data
    for include in ([], [CONTENT]):
        step: Any = client.beta.threads.runs.steps.retrieve(
            steps[0].id,
            thread_id=run.thread_id,
            run_id=run.id,
            include=include,  # type: ignore[arg-type]
        )
        (result,) = step.step_details.tool_calls[0].file_search.results
        assert result.to_dict() == (full if include else bare)
    events = stream(server, f"/threads/{run.thread_id}/runs?include[]={CONTENT}", assistant_id=assistant)
    assert _completed_search(events)["results"] == [full]


def test_other_values_of_include(client: OpenAI, upstream: ScriptedUpstream) -> None:
    run = run_on(client, assistant_with(client, upstream.script(Reply("ok"))))
    step = client.beta.threads.runs.steps.list(run.id, thread_id=run.thread_id).data[0].id
    wrong: Any = ["step_details"]
    steps = client.beta.threads.runs.steps
    calls: list[Callable[[], object]] = [
        lambda: steps.list(run.id, thread_id=run.thread_id, include=wrong),
        lambda: steps.retrieve(step, thread_id=run.thread_id, run_id=run.id, include=wrong),
        lambda: client.beta.threads.runs.create(run.thread_id, assistant_id=run.assistant_id, include=wrong),
    ]
    for call in calls:
        with pytest.raises(openai.BadRequestError, match="Invalid value: 'step_details'") as caught:
            call()
        assert caught.value.param == "include[0]"


def test_what_the_model_is_told(client: OpenAI, upstream: ScriptedUpstream) -> None:
    model = upstream.script(
        look_for("favourite food"), Reply(calls=[("ask", {}), ("file_search", {"query": "opening hours"})]), Reply("ok")
    )
    store = store_with(client, foods=FOODS, bikes=BIKES)
    assistant = searching(client, model, store, tools=[SEARCH, function("ask")])
    thread = thread_with(client)
    run = client.beta.threads.runs.create_and_poll(thread_id=thread, assistant_id=assistant)
    (waiting,) = run.required_action.submit_tool_outputs.tool_calls  # type: ignore[union-attr]
    outputs: Any = [{"tool_call_id": waiting.id, "output": "yes"}]
    client.beta.threads.runs.submit_tool_outputs_and_poll(run_id=run.id, thread_id=thread, tool_outputs=outputs)
    first, second, third = upstream.requests[model]
    tool = first["tools"][0]["function"]
    assert (tool["name"], list(tool["parameters"]["properties"])) == ("file_search", ["query"])
    told = second["messages"][-1]["content"]
    assert f"【0:0†foods.txt】\n{FOODS}" in told
    assert "【0:1†bikes.txt】" in told
    assert third["messages"][: len(second["messages"])] == second["messages"]
    asked, said, found = third["messages"][-3:]
    assert [call["function"]["name"] for call in asked["tool_calls"]] == ["ask", "file_search"]
    assert asked["tool_calls"][1]["function"]["arguments"] == '{"query":"opening hours"}'
    assert said["content"] == "yes"
    assert f"【1:0†bikes.txt】\n{BIKES}" in found["content"]


def test_several_searches_beside_code(client: OpenAI, upstream: ScriptedUpstream) -> None:
    calls: list[tuple[str, JSON | str]] = [
        ("file_search", '"favourite food"'),
        ("code_interpreter", {"code": "open('/mnt/data/x.csv', 'w').write('x'); print(6 * 7)"}),
        ("file_search", {"queries": ["opening hours", "bicycle repairs"]}),
        ("file_search", "{}"),
    ]
    text = "A【0:0†source】, B[1:0†source], C【2:0†foods.txt】 [x](sandbox:/mnt/data/x.csv)【1:0†bikes.txt】"
    model = upstream.script(Reply(calls=calls), Reply(text))
    store = store_with(client, foods=FOODS, bikes=BIKES)
    run = run_on(client, searching(client, model, store, tools=[SEARCH, CODE]))
    found = [[result["file_name"] for result in call["file_search"]["results"]] for call in searches(client, run)]
    assert [names[:1] for names in found] == [["foods.txt"], ["bikes.txt"], []]
    tools = [message["content"] for message in upstream.requests[model][1]["messages"] if message["role"] == "tool"]
    assert tools[1].strip() == "42"
    assert "without a query" in tools[3]
    annotations = [one.to_dict() for one in answer(client, run).annotations]
    assert [one["text"] for one in annotations] == [
        *("【0:0†source】", "[1:0†source]", "sandbox:/mnt/data/x.csv", "【1:0†bikes.txt】")
    ]
    cited = [one["file_citation"]["file_id"] for one in annotations if one["type"] == "file_citation"]
    assert [client.files.retrieve(file).filename for file in cited] == ["foods.txt", "bikes.txt", "bikes.txt"]
    message = client.beta.threads.messages.list(run.thread_id, run_id=run.id).data[0]
    assert [one.file_id for one in message.attachments or []] == [annotations[2]["file_path"]["file_id"]]


def test_no_store(client: OpenAI, upstream: ScriptedUpstream) -> None:
    model = upstream.script(look_for("anything"), Reply("nothing"))
    run = run_on(client, searching(client, model))
    assert searches(client, run)[0]["file_search"]["results"] == []
    assert "Nothing was found" in upstream.requests[model][1]["messages"][-1]["content"]


def test_the_stores_of_assistant_and_thread(client: OpenAI, upstream: ScriptedUpstream) -> None:
    stores = [store_with(client, foods=FOODS), store_with(client, bikes=BIKES)]
    model = upstream.script(*(reply for _ in range(3) for reply in (look_for("bicycle food"), Reply("ok"))))
    assistant = searching(client, model, stores[0])
    thread: Any = {"messages": [{"role": "user", "content": "hi"}]}
    resources: Any = {"file_search": {"vector_store_ids": stores[1:]}}  # in the place of the assistant's
    run = client.beta.threads.create_and_run_poll(assistant_id=assistant, thread=thread, tool_resources=resources)
    (search,) = searches(client, run)
    assert {result["file_name"] for result in search["file_search"]["results"]} == {"bikes.txt"}
    thread = thread_with(client)
    client.beta.threads.update(thread, tool_resources=resources)
    (search,) = searches(client, run_on(client, assistant, thread))
    assert {result["file_name"] for result in search["file_search"]["results"]} == {"foods.txt", "bikes.txt"}
    client.vector_stores.delete(stores[1])
    (search,) = searches(client, run_on(client, assistant, thread))
    assert {result["file_name"] for result in search["file_search"]["results"]} == {"foods.txt"}


def test_an_expired_store_fails_the_run(client: OpenAI, server: ServerProcess, upstream: ScriptedUpstream) -> None:
    store = store_with(client, foods=FOODS)
    model = upstream.script()
    assistant = searching(client, model, store)
    with closing(sqlite3.connect(server.data_dir / "understudy.db")) as database, database:
        database.execute("UPDATE vector_stores SET expires_at = 1 WHERE id = ?", (store,))
    run = client.beta.threads.runs.create_and_poll(thread_id=thread_with(client), assistant_id=assistant)
    assert run.status == "failed"
    assert run.last_error is not None
    assert run.last_error.message == f"Vector store '{store}' has expired"
    assert upstream.requests[model] == []


def test_settings_of_the_tool(client: OpenAI, upstream: ScriptedUpstream) -> None:
    notes = {f"note{number}": f"{BIKES} Note {number}." for number in range(7)}
    store = store_with(client, **notes)

    def found(settings: JSON | None, model_name: str | None = None) -> list[JSON]:
        model = upstream.script(look_for("bicycle shop Ghent"), Reply("ok"))
        tool = SEARCH | ({"file_search": settings} if settings else {})
        (search,) = searches(client, run_on(client, searching(client, model, store, tools=[tool])))
        assert search["file_search"]["ranking_options"] == RANKING | {
            "score_threshold": (settings or {}).get("ranking_options", {}).get("score_threshold", 0.0)
        }
        return list(search["file_search"]["results"])

    everything = found(None)
    assert len(everything) == 7
    assert [result["score"] for result in everything] == sorted((one["score"] for one in everything), reverse=True)
    assert len(found({"max_num_results": 2})) == 2
    assert found({"ranking_options": {"score_threshold": 1.0}}) == []
    by_words = {"score_threshold": 0, "hybrid_search": {"embedding_weight": 0, "text_weight": 1}}
    assert len(found({"ranking_options": by_words | {"ranker": "auto"}})) == 7


def test_older_models_get_five_results(upstream: ScriptedUpstream, tmp_path: Path) -> None:
    model = upstream.script(look_for("bicycle shop Ghent"), Reply("ok"))
    server = ServerProcess(tmp_path / "data", "--upstream", upstream.url, "--models", f"gpt-3.5-turbo={model}")
    with official_client(server) as client:
        store = store_with(client, **{f"note{number}": f"{BIKES} Note {number}." for number in range(7)})
        (search,) = searches(client, run_on(client, searching(client, "gpt-3.5-turbo", store)))
        assert len(search["file_search"]["results"]) == 5
    assert server.stop() == 0, server.log()


def test_ranking_options_are_checked_and_echoed(client: OpenAI) -> None:
    def echoed(ranking: JSON) -> Any:
        tool: Any = {"type": "file_search", "file_search": {"ranking_options": ranking}}
        assistant = client.beta.assistants.create(model="m", tools=[tool])
        return assistant.to_dict()["tools"]

    full = RANKING | {"score_threshold": 0.5, "hybrid_search": None}
    shown = [{"type": "file_search", "file_search": {"ranking_options": full}}]
    assert echoed({"score_threshold": 0.5, "ranker": "auto"}) == shown
    place = "tools[0].file_search.ranking_options"
    wrong: list[tuple[JSON, str]] = [
        ({"ranker": "auto"}, f"Missing required parameter: '{place}.score_threshold'."),
        ({"score_threshold": 2}, f"Invalid '{place}.score_threshold'"),
        ({"score_threshold": 0, "ranker": "best"}, "Invalid value: 'best'"),
        ({"score_threshold": 0, "hybrid_search": {"text_weight": 1}}, f"'{place}.hybrid_search.embedding_weight'"),
    ]
    for ranking, message in wrong:
        with pytest.raises(openai.BadRequestError) as caught:
            echoed(ranking)
        assert message in caught.value.message


def test_a_run_waits_for_the_threads_files(client: OpenAI, upstream: ScriptedUpstream) -> None:
    model = upstream.script(look_for("favourite food"), Reply("ok"))
    filler = "\n".join(f"Line {number} of what nobody asks for." for number in range(2_000))
    file = client.files.create(file=("foods.txt", f"{filler}\n{FOODS}".encode()), purpose="assistants")
    attachment: Any = {"file_id": file.id, "tools": [SEARCH]}
    run = run_on(client, searching(client, model), thread_with(client, attachments=[attachment]))
    (search,) = searches(client, run, include=[CONTENT])
    assert FOODS in search["file_search"]["results"][0]["content"][0]["text"]


def test_names_and_forced_choice(client: OpenAI, upstream: ScriptedUpstream) -> None:
    model = upstream.script(Reply(calls=[("file_search_2", {"query": "food"})]), Reply("ok"))
    store = store_with(client, foods=FOODS)
    assistant = searching(client, model, store, tools=[SEARCH, function("file_search")])
    run = run_on(client, assistant, tool_choice={"type": "file_search"})
    first, second = upstream.requests[model]
    assert [tool["function"]["name"] for tool in first["tools"]] == ["file_search_2", "file_search"]
    assert first["tool_choice"] == {"type": "function", "function": {"name": "file_search_2"}}
    assert "tool_choice" not in second
    assert second["messages"][-2]["tool_calls"][0]["function"]["name"] == "file_search_2"
    assert len(searches(client, run)) == 1


def test_deleted_between_search_and_answer(client: OpenAI, upstream: ScriptedUpstream) -> None:
    store = store_with(client, foods=FOODS, bikes=BIKES)
    ids = {client.files.retrieve(file.id).filename: file.id for file in client.vector_stores.files.list(store)}

    def after_deletion(what: Callable[[], object], *calls: tuple[str, JSON | str]) -> Callable[[JSON], Reply]:
        def reply(_body: JSON) -> Reply:
            what()
            return Reply(calls=list(calls)) if calls else Reply("Lasagne【0:0†foods.txt】")

        return reply

    again: tuple[str, JSON] = ("file_search", {"query": "favourite food"})
    model = upstream.script(
        Reply(calls=[again]),
        after_deletion(lambda: client.files.delete(ids["foods.txt"]), again),
        after_deletion(lambda: client.vector_stores.delete(store), again),
        after_deletion(lambda: None),
    )
    run = run_on(client, searching(client, model, store))
    found = [{result["file_name"] for result in call["file_search"]["results"]} for call in searches(client, run)]
    assert [("foods.txt" in names) for names in found] == [True, False, False]
    assert found[2] == set()
    (annotation,) = answer(client, run).annotations
    assert annotation.file_citation.file_id == ids["foods.txt"]


def test_marks_of_earlier_runs_stay_text(client: OpenAI, upstream: ScriptedUpstream) -> None:
    model = upstream.script(
        *(look_for("food"), Reply("It is lasagne【0:0†foods.txt】.")),
        *(look_for("food"), Reply("As I said 【0:0†foods.txt】, and again【1:0†foods.txt】.")),
        Reply("And 【1:0†foods.txt】."),
    )
    assistant = searching(client, model, store_with(client, foods=FOODS))
    thread = thread_with(client)
    marks = []
    for _ in range(3):
        marks.append([one.text for one in answer(client, run_on(client, assistant, thread)).annotations])
        client.beta.threads.messages.create(thread, role="user", content="and?")
    assert marks == [["【0:0†foods.txt】"], ["【1:0†foods.txt】"], []]


def test_the_budget_of_a_search(client: OpenAI, upstream: ScriptedUpstream) -> None:
    words = itertools.cycle(["bicycle", "shop", "ghent", "repair", "nine", "six"])
    text = " ".join(itertools.islice(words, 20_000))
    file = client.files.create(file=("long.txt", text.encode()), purpose="assistants")
    strategy: Any = {"type": "static", "static": {"max_chunk_size_tokens": 4096, "chunk_overlap_tokens": 0}}
    store = client.vector_stores.create(name="long").id
    added = client.vector_stores.files.create_and_poll(file.id, vector_store_id=store, chunking_strategy=strategy)
    assert added.status == "completed"
    model = upstream.script(look_for("bicycle shop"), Reply("ok"))
    (search,) = searches(client, run_on(client, searching(client, model, store)), include=[CONTENT])
    found = [result["content"][0]["text"] for result in search["file_search"]["results"]]
    tokens = sum(count(passage) for passage in found)
    assert 16_000 - 4096 < tokens <= 16_000 < count(text)
    assert all(passage.strip() in text for passage in found)


def test_another_embedding_model_fails_the_run(upstream: ScriptedUpstream, tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "data", "--upstream", upstream.url)
    with official_client(server) as client:
        store = store_with(client, foods=FOODS)
        assert server.stop() == 0, server.log()
    other = ServerProcess(tmp_path / "data", "--upstream", upstream.url, "--embedder", "upstream:other")
    with official_client(other) as client:
        assistant = searching(client, upstream.script(look_for("food")), store)
        run = client.beta.threads.runs.create_and_poll(thread_id=thread_with(client), assistant_id=assistant)
        assert run.status == "failed"
        assert run.last_error is not None
        assert run.last_error.code == "server_error"
        assert "reindex" in run.last_error.message
        step = client.beta.threads.runs.steps.list(run.id, thread_id=run.thread_id).data[0]
        assert step.status == "failed"
    assert other.stop() == 0, other.log()


def test_offline(offline: OpenAI) -> None:
    store = store_with(offline, foods=FOODS, bikes=BIKES)
    run = run_on(offline, searching(offline, "gpt-4o", store), thread_with(offline, "When does the bicycle shop open?"))
    text = answer(offline, run)
    assert "The bicycle shop in Ghent opens at nine" in text.value
    (annotation,) = text.annotations
    assert annotation.text == "【0:0†bikes.txt】"
    assert offline.files.retrieve(annotation.file_citation.file_id).filename == "bikes.txt"
    echo = run_on(offline, searching(offline, "gpt-4o"), thread_with(offline, "When does the bicycle shop open?"))
    assert "You said" in answer(offline, echo).value
