"""`understudy demo`: the main job in front of one's eyes, on a server of its own, through the official client."""

import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from understudy.demo_pdf import pdf
from understudy.settings import Settings, StartError

if TYPE_CHECKING:
    from openai import OpenAI

SALES = "month,revenue,users\nJan,12000,340\nFeb,15000,410\nMar,11000,290\nApr,18000,520\nMay,22000,610\n"
QUESTION = (
    "Please analyse the attached sales data, identify the best and worst performing months, and plot the revenue."
)
WEATHER = {
    "name": "get_weather",
    "description": "The weather in a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
DOCUMENT = "q4_report.pdf"
DOCUMENT_QUESTION = "Which risk factors stood out, and what follows from the new battery rules?"
ANSWER = '{"degrees": 18, "sky": "sunny"}'
_LISTENING = re.compile(r"listening on (\S+),")
_START_SECONDS = 60


def demo(settings: Settings, output: Path) -> None:
    """Play a data analyst, a question about a document, a streamed sentence and a function call.

    Raises StartError where a part fails.
    """
    import warnings

    from openai import OpenAI, OpenAIError

    # The official client warns that the hosted API is gone, which is why we are here.
    warnings.simplefilter("ignore", DeprecationWarning)
    with tempfile.TemporaryDirectory(prefix="understudy-demo-") as folder, _server(settings, Path(folder)) as url:
        answering = settings.shown_upstream or "the offline model (a stand-in: give --upstream URL for a real one)"
        _say(f"Understudy is listening on {url}, and {answering} answers.")
        _say(f"Any program of the Assistants API runs against it with OPENAI_BASE_URL={url}/v1")
        client = OpenAI(base_url=f"{url}/v1", api_key=settings.api_key[0] if settings.api_key else "demo")
        try:
            model = settings.model or "gpt-4o"
            _analyst(client, model, output)
            _document(client, model)
            _sentence(client, model)
            _function(client, model)
        except OpenAIError as error:
            raise StartError(f"the demo failed: {error}") from error
    _say("\nThat is all. `understudy serve` starts a server that stays; README.md says how to point at it.")


def _analyst(client: "OpenAI", model: str, output: Path) -> None:
    _heading("A data analyst: a CSV goes in, code runs in a walled kernel, an answer and a chart come out")
    assistant = client.beta.assistants.create(
        model=model,
        name="Data Analyst",
        instructions="You are an expert data analyst. Use the code interpreter to explore the file and show a chart.",
        tools=[{"type": "code_interpreter"}],
    )
    file = client.files.create(file=("sales.csv", SALES.encode(), "text/csv"), purpose="assistants")
    thread = client.beta.threads.create()
    client.beta.threads.messages.create(
        thread.id,
        role="user",
        content=QUESTION,
        attachments=[{"file_id": file.id, "tools": [{"type": "code_interpreter"}]}],
    )
    _say(f"uploaded sales.csv as {file.id}\nuser: {QUESTION}")
    with client.beta.threads.runs.stream(thread_id=thread.id, assistant_id=assistant.id) as stream:
        for event in stream:
            _show_progress(event)
        _check(stream.get_final_run())
    chart = None
    for part in client.beta.threads.messages.list(thread.id).data[0].content:
        if part.type == "image_file":
            chart = client.files.content(part.image_file.file_id).read()
    if chart is None:
        _say("\n(the model showed no chart)")
        return
    output.mkdir(parents=True, exist_ok=True)
    path = output / "chart.png"
    path.write_bytes(chart)
    _say(f"\nits chart, {len(chart):,} bytes of PNG: {path}")


def _show_progress(event: Any) -> None:
    """Print what a run does while it does it: the code, its outputs, the answer."""
    if event.event == "thread.run.step.created" and event.data.type == "tool_calls":
        _say("\nthe code that it writes and runs:\n")
    elif event.event == "thread.run.step.delta":
        for call in event.data.delta.step_details.tool_calls:
            print(call.code_interpreter.input or "", end="", flush=True)
            for result in call.code_interpreter.outputs or []:
                _say(
                    f"\n\nits output:\n\n{result.logs}" if result.type == "logs" else f"[image {result.image.file_id}]"
                )
    elif event.event == "thread.message.created":
        print("\nassistant: ", end="")
    else:
        _show_text(event)


def _show_text(event: Any) -> None:
    if event.event == "thread.message.delta":
        for part in event.data.delta.content:
            if part.type == "text":
                print(part.text.value, end="", flush=True)
    elif event.event == "thread.message.completed":
        print()


def _document(client: "OpenAI", model: str) -> None:
    _heading("A document question: a PDF goes into a vector store, an answer comes out that cites it")
    # Official clients before 1.66 have them under `beta`.
    place: Any = client if hasattr(client, "vector_stores") else client.beta
    stores = place.vector_stores
    store = stores.create(name="Reports")
    file = client.files.create(file=(DOCUMENT, pdf(), "application/pdf"), purpose="assistants")
    # Short passages, as the document is.
    chunking = {"type": "static", "static": {"max_chunk_size_tokens": 128, "chunk_overlap_tokens": 0}}
    added = stores.files.create_and_poll(file.id, vector_store_id=store.id, chunking_strategy=chunking)
    if added.status != "completed":
        raise StartError(f"{DOCUMENT} could not be made searchable: {added.last_error}")
    _say(f"uploaded {DOCUMENT} into {store.id}\nuser: {DOCUMENT_QUESTION}")
    assistant = client.beta.assistants.create(
        model=model,
        name="Document Analyst",
        instructions="Answer questions from the documents. Cite what supports each sentence.",
        tools=[{"type": "file_search"}],
        tool_resources={"file_search": {"vector_store_ids": [store.id]}},
    )
    thread = client.beta.threads.create(messages=[{"role": "user", "content": DOCUMENT_QUESTION}])
    with client.beta.threads.runs.stream(thread_id=thread.id, assistant_id=assistant.id) as stream:
        print("\nassistant: ", end="")
        for event in stream:
            _show_text(event)
        run = stream.get_final_run()
    _check(run)
    _show_citations(client, run)


def _show_citations(client: "OpenAI", run: Any) -> None:
    """Print what the answer's citations point to: the files, and the passages that the search found in them."""
    content: Any = "step_details.tool_calls[*].file_search.results[*].content"
    steps: Any = client.beta.threads.runs.steps.list(
        run.id, thread_id=run.thread_id, extra_query={"include[]": content}
    )
    calls = [call for step in steps if step.type == "tool_calls" for call in step.step_details.tool_calls]
    found = [result for call in calls for result in call.to_dict()["file_search"]["results"]]
    (part,) = client.beta.threads.messages.list(run.thread_id, run_id=run.id).data[0].content
    citations: Any = part.text.annotations if part.type == "text" else []
    if not citations:
        _say("(the model cited nothing)")
    for citation in citations:
        file_id = citation.file_citation.file_id
        passage = next(result for result in found if result["file_id"] == file_id)
        text = " ".join(passage["content"][0]["text"].split())
        _say(f"its citation {citation.text} points to {client.files.retrieve(file_id).filename}")
        _say(f"the best passage there, of score {passage['score']:.2f}: {text[:300]}…")


def _sentence(client: "OpenAI", model: str) -> None:
    _heading("A streamed sentence")
    assistant = client.beta.assistants.create(model=model, name="Talker", instructions="Answer in one sentence.")
    thread = client.beta.threads.create(messages=[{"role": "user", "content": "Say hello to whoever is watching."}])
    print("assistant: ", end="")
    with client.beta.threads.runs.stream(thread_id=thread.id, assistant_id=assistant.id) as stream:
        for text in stream.text_deltas:
            print(text, end="", flush=True)
        print()
        _check(stream.get_final_run())


def _function(client: "OpenAI", model: str) -> None:
    _heading("A function call, answered by this program")
    assistant = client.beta.assistants.create(
        model=model,
        name="Weather",
        instructions="Use get_weather.",
        tools=[{"type": "function", "function": WEATHER}],  # type: ignore[typeddict-item]
    )
    question = "Call get_weather for Paris, then tell me the weather."
    thread = client.beta.threads.create(messages=[{"role": "user", "content": question}])
    _say(f"user: {question}")
    run = client.beta.threads.runs.create_and_poll(thread_id=thread.id, assistant_id=assistant.id)
    while run.status == "requires_action" and run.required_action is not None:
        outputs = []
        for call in run.required_action.submit_tool_outputs.tool_calls:
            _say(f"the run asks for {call.function.name}({call.function.arguments}); answered: {ANSWER}")
            outputs.append({"tool_call_id": call.id, "output": ANSWER})
        run = client.beta.threads.runs.submit_tool_outputs_and_poll(
            run_id=run.id,
            thread_id=thread.id,
            tool_outputs=outputs,  # type: ignore[arg-type]
        )
    _check(run)
    answer = client.beta.threads.messages.list(thread.id).data[0].content[0]
    if answer.type == "text":
        _say(f"assistant: {answer.text.value}")


def _check(run: Any) -> None:
    if run.status != "completed":
        reason = run.last_error.message if run.last_error else "no reason given"
        raise StartError(f"the run ended as {run.status}: {reason}")


@contextmanager
def _server(settings: Settings, folder: Path) -> Iterator[str]:
    """`understudy serve` on a free port with a data folder of its own, and these settings otherwise."""
    command = [sys.executable, "-m", "understudy", "serve"]
    folder.chmod(0o711)  # users of landlock's sessions pass through it
    environ = dict(os.environ)
    for name, value in _variables(settings).items():
        environ[f"UNDERSTUDY_{name.upper()}"] = value
    environ |= {"UNDERSTUDY_PORT": "0", "UNDERSTUDY_HOST": "127.0.0.1", "UNDERSTUDY_DATA_DIR": str(folder)}
    environ |= {"UNDERSTUDY_LOG_LEVEL": "info"}
    process = subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, text=True)  # noqa: S603
    assert process.stderr is not None
    log: list[str] = []
    address: list[str] = []
    ready = threading.Event()

    def read() -> None:
        for line in process.stderr or ():
            log.append(line)
            if found := _LISTENING.search(line):
                address.append(found[1])
                ready.set()
        ready.set()

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        if not ready.wait(_START_SECONDS) or not address:
            raise StartError(f"the server did not start: {log[-1].strip() if log else 'it said nothing'}")
        yield address[0]
    finally:
        process.terminate()
        process.wait()
        reader.join()
        process.stderr.close()


def _variables(settings: Settings) -> dict[str, str]:
    """The settings that were given, as the variables of another process."""
    given = {}
    for one in fields(Settings):
        value = getattr(settings, one.name)
        if value == one.default:
            continue
        if one.name == "models":
            given[one.name] = ",".join("=".join(pair) for pair in value)
        else:
            given[one.name] = ",".join(value) if isinstance(value, tuple) else str(value)
    return given


def _heading(text: str) -> None:
    print(f"\n── {text} " + "─" * max(0, 100 - len(text)), flush=True)


def _say(text: str) -> None:
    print(text, flush=True)
