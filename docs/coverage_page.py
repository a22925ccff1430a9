"""docs/coverage.md: each operation and event of the API with the tests that hold it, read off the tests' markers."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import get_args, get_type_hints

from tests.traffic import all_operations

from understudy.schemas.stream_events import StreamEvent

ROOT = Path(__file__).parents[1]

HEAD = """# Coverage

All {operations} operations of the Assistants API v2 and all {events} events of its streams, with the tests that hold
them. The tests drive a real server over HTTP through the official client, whose strict validation refuses an answer
that does not fit its types. Each names in a marker what it covers; a test that claims an operation or an event and
never meets it fails. This page is made of the markers by `make docs`, and `make check` fails where it is out of date
or a row is empty.

What each operation refuses, with the exact words, is held by the rows of
[test_refusals.py](../tests/contract/test_refusals.py) and [refused_bodies.py](../tests/contract/refused_bodies.py),
[test_limits.py](../tests/contract/test_limits.py), [test_unknown_ids.py](../tests/contract/test_unknown_ids.py) and
[test_lists.py](../tests/contract/test_lists.py); that no request gets a 5xx or an answer outside `/openapi.json` by
[test_properties.py](../tests/contract/test_properties.py).

Which clients and frameworks run unchanged is told by [clients.md](clients.md).

## Operations

| operation | | tests |
|---|---|---|
"""

EVENTS = """
## Events

| event | tests |
|---|---|
"""

DIFFERENCES = """
## What differs from the hosted API

By intent:

- Any model name is taken when an assistant or a run is made; the upstream says at the run whether it has it, and
  where not, the run fails with its words. The hosted API refused unknown names at once.
- Ids may be chosen, other `/v1` routes are passed on to the upstream, Azure's paths are served beside OpenAI's.
- There are no organisations, projects, quotas or rate limits of our own, and none of their headers: `429` comes from
  the upstream alone, as a failed run with `rate_limit_exceeded`, or as the answer to a route that is passed on.
- A missing or `v1` `OpenAI-Beta` header is tolerated.
- `max_prompt_tokens` and `max_completion_tokens` may be smaller than the 256 that the document asks for; the hosted
  API took 16 as well.
- A file batch says `vector_store.files_batch`, as the document and the official clients have it; on the wire it was
  `vector_store.file_batch`. Messages always carry `status` and what goes with it; run steps carry `metadata` and
  `expired_at`.
- `null` stands where the wire had it though the document forbids it: a run's `instructions`, a vector store's `name`,
  a file's `expires_at`. Clients with strict validation want instructions and names set.
- A message that is modified keeps its `attachments`; the hosted API answered `file_ids: []` once.
- A run that waits for tool outputs can be cancelled. No recording shows whether it could.
- A run ends as failed after 32 rounds of tool calls (`--max-tool-rounds`). A `tool_choice` that forces a call holds for
  the run's first model call alone; one that names a function which the run does not have is the upstream's to refuse.
- The `tool_resources` of createThreadAndRun stand in the place of the assistant's for that run, and the run shows them.
- Ids of tool calls are the upstream's where they are plain and new.
- A message that is being written cannot be deleted; deleting a thread cancels its run.
- JSON bodies may have 64 MB and 100 levels. Empty texts of messages are taken. Attachments may bring a thread more than
  20 files for the code interpreter.

Because a part of it is another:

- Token counts are those of the upstream's model; where it reports none, four bytes count as a token. Truncation
  estimates, by the window of `--context-window` and `--context-windows`.
- Rankings and scores of file search are this server's ([file-search.md](file-search.md)), within the same bounds and
  fields. Queries are rewritten by rules, not by a model. Pictures, and text in them, are not read.
- Marks of citations look like `【0:1†report.pdf】`; where the model does not repeat them there are no annotations.
- What a model says after its tool calls of the same turn is left out: the hosted API's models did not.
- The code interpreter has the packages of its own environment, and limits that can be set. The value of a last
  expression is among the logs, as the guides showed it; one recording has no output there.
- The texts of `last_error`, and of refusals that no recording shows, are ours in the hosted API's manner: the table
  in `server/understudy/refusals.py` says which ones have evidence.
- An upload is joined while `complete` waits, its `mime_type` is not kept, and vector stores take any number of files.
- Rows expire when the sweeper comes by, within a second or so of their time.

"""


class CoverageError(Exception):
    """An operation or an event that no test claims, or a claim of one that there is not."""


def coverage_page() -> str:
    """The page. Raises CoverageError."""
    claims = _claims()
    operations = all_operations()
    events = _events()
    _check("operation", claims["operation"], set(operations))
    _check("event", claims["event"], set(events))
    rows = [
        f"| {name} | `{place}` | {_links(claims['operation'][name])} |"
        for name, place in sorted(operations.items(), key=lambda one: one[1].partition(" ")[2])
    ]
    told = [f"| `{name}` | {_links(claims['event'][name])} |" for name in events]
    head = HEAD.format(operations=len(operations), events=len(events))
    return head + "\n".join(rows) + "\n" + EVENTS + "\n".join(told) + "\n" + DIFFERENCES


def _events() -> list[str]:
    union, _ = get_args(StreamEvent)
    return [name for event in get_args(union) for name in get_args(get_type_hints(event)["event"])]


def _claims() -> dict[str, dict[str, list[str]]]:
    """By kind of marker and what is claimed: the tests, as `contract/test_files.py::test_file_life`."""
    claims: dict[str, dict[str, list[str]]] = {"operation": defaultdict(list), "event": defaultdict(list)}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for test in ast.parse(path.read_text()).body:
            if isinstance(test, ast.FunctionDef | ast.AsyncFunctionDef):
                place = f"{path.relative_to(ROOT / 'tests')}::{test.name}"
                for kind, name in _marked(test):
                    claims[kind][name].append(place)
    return claims


def _marked(test: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[tuple[str, str]]:
    for decorator in test.decorator_list:
        match decorator:
            case ast.Call(
                func=ast.Attribute(
                    value=ast.Attribute(value=ast.Name("pytest"), attr="mark"), attr="operation" | "event" as kind
                )
            ):
                for argument in decorator.args:
                    yield kind, ast.literal_eval(argument)


def _check(kind: str, claimed: dict[str, list[str]], known: set[str]) -> None:
    if untested := sorted(known - claimed.keys()):
        raise CoverageError(f"no test claims the {kind}s {', '.join(untested)}")
    if unknown := sorted(claimed.keys() - known):
        raise CoverageError(f"tests claim the {kind}s {', '.join(unknown)}, which there are not")


def _links(places: list[str]) -> str:
    return "<br>".join(f"[{place.partition('::')[2]}](../tests/{place.partition('::')[0]})" for place in places)
