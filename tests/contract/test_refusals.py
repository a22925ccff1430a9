"""What is refused, with the exact error; and that every row of the server's table of refusals is met by a test."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.contract import test_limits
from tests.contract.calls import Ids, grown
from tests.contract.refused_bodies import NOWHERE, ROWS, WITH, Row
from tests.contract.requests import JSON, least, post, put
from tests.runs.streams import thread_with
from tests.scripted_upstream import ScriptedUpstream
from tests.vector_stores import upload
from understudy import refusals

INVALID = "invalid_request_error"
SUPPORTED = "https://platform.openai.com/docs/assistants/tools/file-search/supported-files"
PURPOSES = "['fine-tune', 'assistants', 'batch', 'user_data', 'vision', 'evals']"
SEARCH = "tool_resources.file_search"


@pytest.fixture(scope="module")
def ids(client: OpenAI, upstream: ScriptedUpstream) -> Ids:
    return grown(client, upstream) | {
        "table": upload(client, "a.csv", "a,b").id,
        "empty_thread": client.beta.threads.create().id,
        "silent": _create(client, {"model": "m"})["id"],
    }


def _create(client: OpenAI, body: JSON) -> JSON:
    # Not as the client would: an assistant without instructions does not fit its types [R].
    return post(client, "createAssistant", {}, body)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.refusal}-{row.operation}-{row.place}")
def test_a_body(client: OpenAI, ids: Ids, row: Row) -> None:
    body = least(row.operation, ids)
    top = re.split(r"[.\[]", row.place)[0]
    if top != row.place and top in WITH:
        body[top] = WITH[top]
    body = _without(body, row.place) if row.value is NOWHERE else put(body, row.place, row.value)
    with pytest.raises(openai.BadRequestError) as caught:
        post(client, row.operation, ids, body)
    expected = {"message": row.message, "type": INVALID, "param": row.param, "code": row.code}
    assert (caught.value.status_code, caught.value.body) == (400, expected)


def _without(body: JSON, place: str) -> JSON:
    body = put(body, place, None)
    path, _, last = place.rpartition(".")
    at: Any = body
    for part in re.findall(r"[^.\[\]]+", path):
        at = at[int(part) if part.isdecimal() else part]
    del at[last]
    return body


@dataclass(frozen=True)
class Case:
    """Something else that is refused, by which `refusal`; the texts have ids in their braces."""

    refusal: str
    ask: Callable[[Any, Ids], object]
    message: str
    param: str | None = None
    code: str | None = None
    error: type[openai.APIStatusError] = openai.BadRequestError


def _asked(operation: str, **fields: Any) -> Callable[[Any, Ids], object]:
    return lambda client, ids: post(client, operation, ids, least(operation, ids) | fields)


def _raw(content: bytes) -> Callable[[Any, Ids], object]:
    json = {"headers": {"content-type": "application/json"}}
    return lambda client, ids: client.post("/assistants", content=content, cast_to=object, options=json)


def _with_headers(**headers: str) -> Callable[[Any, Ids], object]:
    options = {"headers": headers}
    return lambda client, ids: client.get("/assistants", cast_to=object, options=options)


def _attached(name: str) -> Callable[[Any, Ids], object]:
    def ask(client: Any, ids: Ids) -> object:
        attachment = {"file_id": ids[name], "tools": [{"type": "file_search"}]}
        return client.beta.threads.messages.create(
            ids["thread_id"], role="user", content="hi", attachments=[attachment]
        )

    return ask


def _taken(operation: str, owner: str) -> Callable[[Any, Ids], object]:
    return lambda client, ids: post(client, operation, ids, least(operation, ids) | {"id": ids[owner]})


EXCLUSIVE = "mutually_exclusive_parameters"
NONE = "No assistant found with id 'asst_none'."
LONG = f"asst_{'x' * 60}"
NOTHING = "Run creation requires a Thread with a user message or an assistant with instructions."
UNSUPPORTED = f"Files with extensions [.csv] are not supported for retrieval. See {SUPPORTED}"
CASES = [
    Case("NOT_JSON", _raw(b'{"model": '), "We could not parse the JSON body of your request.", None, "invalid_json"),
    Case(
        "NOT_JSON", _raw(b'{"model": NaN}'), "We could not parse the JSON body of your request.", None, "invalid_json"
    ),
    Case(
        "TOO_DEEP",
        _raw(b'{"model":' + b"[" * 100 + b"]" * 100 + b"}"),
        "The JSON body is nested more than 100 levels deep.",
        None,
        "invalid_json",
    ),
    Case("BODY_TOO_LARGE", _raw(b" " * (64 * 1024**2 + 1)), "The body is larger than the 64 MB that it may have."),
    Case("NO_BODY", _raw(b""), "Missing required request body.", None, "missing_required_parameter"),
    Case(
        "NO_OBJECT",
        _raw(b"[]"),
        "Invalid body: expected a JSON object of content type application/json, but got an array.",
        None,
        "invalid_type",
    ),
    Case(
        "INVALID_URL",
        lambda client, ids: client.get("/assistants/asst_1/files", cast_to=object),
        "Invalid URL (GET /v1/assistants/asst_1/files)",
        None,
        "unknown_url",
        openai.NotFoundError,
    ),
    Case(
        "NOT_AN_API_URL",
        lambda client, ids: client.with_options(base_url=str(client.base_url).removesuffix("v1/")).models.list(),
        "Invalid URL (GET /models). The API is at /v1, as in OPENAI_BASE_URL=http://127.0.0.1:8700/v1",
        None,
        "unknown_url",
        openai.NotFoundError,
    ),
    Case(
        "HOST_NOT_SERVED",
        _with_headers(host="evil.example"),
        "Host 'evil.example' is not served here: give the server --allowed-host evil.example if it should.",
        error=openai.PermissionDeniedError,
    ),
    Case(
        "CROSS_SITE",
        _with_headers(origin="https://evil.example"),
        "Requests of web pages from https://evil.example are refused. Start the server with --cors-origin ORIGIN to "
        "allow them.",
        error=openai.PermissionDeniedError,
    ),
    Case(
        "MODEL_STAYS",
        lambda client, ids: client.models.delete("scripted"),
        "You have insufficient permissions for this operation.",
        error=openai.PermissionDeniedError,
    ),
    Case("NOT_FOUND", _asked("createRun", assistant_id="asst_none"), NONE, error=openai.NotFoundError),
    Case("NOT_FOUND", _asked("createThreadAndRun", assistant_id="asst_none"), NONE, error=openai.NotFoundError),
    Case(
        "NOT_FOUND",
        _asked("createThread", tool_resources={"file_search": {"vector_store_ids": ["vs_none"]}}),
        "No vector store found with id 'vs_none'.",
        error=openai.NotFoundError,
    ),
    Case(
        "NO_SUCH_FILE",
        _asked("createAssistant", tool_resources={"code_interpreter": {"file_ids": ["file-none"]}}),
        "No file found with id 'file-none'.",
        "tool_resources.code_interpreter.file_ids",
    ),
    Case(
        "ID_TOO_LONG",
        _asked("createAssistant", id=LONG),
        f"Invalid 'id': '{LONG}'. Expected at most 64 ASCII characters.",
        "id",
        "invalid_value",
    ),
    *(
        Case("ID_TAKEN", _taken(operation, owner), f"The id '{{{owner}}}' is already in use.", "id", "invalid_value")
        for operation, owner in (
            ("createAssistant", "assistant_id"),
            ("createThread", "thread_id"),
            ("createVectorStore", "vector_store_id"),
        )
    ),
    Case(
        "EXCLUSIVE",
        _asked("createVectorStoreFileBatch", files=[{"file_id": "file-1"}]),
        "Mutually exclusive parameters: 'file_ids' and 'files'. Give one of them.",
        "files",
        EXCLUSIVE,
    ),
    Case(
        "EXCLUSIVE",
        _asked("createThread", tool_resources={"file_search": {"vector_store_ids": ["vs_1"], "vector_stores": [{}]}}),
        "Mutually exclusive parameters: 'vector_store_ids' and 'vector_stores'. Give one of them.",
        f"{SEARCH}.vector_stores",
        EXCLUSIVE,
    ),
    Case(
        "INVALID",
        _asked("searchVectorStore", filters={"type": "eq", "key": "a", "value": {}}),
        "Invalid 'filters.value': expected strings, numbers and booleans.",
        "filters.value",
        "invalid_value",
    ),
    Case(
        "WRONG_TYPE",
        _asked("searchVectorStore", filters={"type": "in", "key": "a", "value": 1}),
        "Invalid type for 'filters.value': expected an array, but got an integer instead.",
        "filters.value",
        "invalid_type",
    ),
    Case(
        "PATTERN",
        _asked("createAssistant", tools=[{"type": "function", "function": {"name": "two words"}}]),
        "Invalid 'tools[0].function.name': string does not match pattern. Expected a string that matches the pattern "
        "'^[a-zA-Z0-9_-]+$'.",
        "tools[0].function.name",
        "invalid_value",
    ),
    Case(
        "INVALID",
        _asked("searchVectorStore", ranking_options={"hybrid_search": {"embedding_weight": 0, "text_weight": 0}}),
        "Invalid 'ranking_options.hybrid_search': at least one of 'embedding_weight' and 'text_weight' must be above "
        "0.",
        "ranking_options.hybrid_search",
        "invalid_value",
    ),
    Case(
        "NOTHING_TO_RUN",
        lambda client, ids: client.beta.threads.runs.create(ids["empty_thread"], assistant_id=ids["silent"]),
        NOTHING,
        None,
        "invalid_thread",
    ),
    Case(
        "NOTHING_TO_RUN",
        lambda client, ids: client.beta.threads.create_and_run(assistant_id=ids["silent"]),
        NOTHING,
        None,
        "invalid_thread",
    ),
    Case("NOT_RETRIEVABLE", _attached("table"), UNSUPPORTED, "file_ids", "unsupported_file"),
    Case(
        "WRONG_PURPOSE",
        lambda client, ids: client.files.create(file=("a", b"x"), purpose="x"),
        f"'x' is not one of {PURPOSES} - 'purpose'",
    ),
    Case(
        "NO_DOWNLOAD",
        lambda client, ids: client.files.content(ids["table"]),
        "Not allowed to download files of purpose: assistants",
    ),
]
ELSEWHERE = {
    "CLIENT_LEFT": "tests/contract/test_files.py::test_an_upload_cut_off_leaves_nothing",
    "CONTENT_TOO_LARGE": "tests/contract/test_uploads.py::test_a_part_of_64_mb_and_one_of_a_byte_more",
    "CONTENT_TWICE": "tests/contract/test_files.py::test_forms_that_mean_no_good",
    "FIELD_TOO_LONG": "tests/contract/test_files.py::test_forms_that_mean_no_good",
    "FAULT": "tests/runs/test_stream_faults.py::test_what_cannot_be_recorded",
    "FILE_NOT_FOUND": "tests/contract/test_refusals.py::test_a_file_that_is_not_there_says_so_twice",
    "FILE_NOT_IN_STORE": "tests/contract/test_unknown_ids.py::test_an_id_of_nothing",
    "KEY_TOO_LONG": "tests/contract/test_limits.py::test_the_length_of_a_key",
    "MESSAGES_LOCKED": "tests/runs/test_states.py::test_a_locked_thread",
    "MESSAGE_LOCKED": "tests/runs/test_deleted_meanwhile.py::test_a_message_in_progress_stays",
    "MODEL_NOT_FOUND": "tests/contract/test_unknown_ids.py::test_an_id_of_nothing",
    "NOT_CANCELLABLE": "tests/runs/test_states.py::test_cancel",
    "NOT_USED": "tests/testing/test_model.py::test_what_cannot_be_used_is_refused",
    "NO_FORM": "tests/contract/test_files.py::test_forms_that_mean_no_good",
    "NO_KEY": "tests/cli/test_serve.py::test_keys",
    "NO_OUTPUTS_WANTED": "tests/runs/test_states.py::test_submit",
    "NO_DEPLOYMENT": "tests/contract/test_azure.py::test_an_azure_upstream_behind_any_client",
    "NO_SNAPSHOT": "tests/testing/test_snapshots.py::test_a_snapshot_outlives_a_reset",
    "NO_SUCH_PART": "tests/contract/test_uploads.py::test_what_is_refused_leaves_the_upload_as_it_was",
    "NUL": "tests/postgresql/test_postgresql.py::test_a_text_with_a_null_character",
    "NO_UPSTREAM": "tests/contract/test_proxy.py::test_offline_everything_else_needs_an_upstream",
    "OTHER_OUTPUTS_WANTED": "tests/runs/test_lifecycle.py::test_all_calls_are_answered_at_once",
    "OUTPUT_TWICE": "tests/runs/test_states.py::test_outputs_given_twice",
    "PARTS_TOO_LARGE": "tests/contract/test_uploads.py::test_all_parts_together_have_8_gb_at_most",
    "PART_TWICE": "tests/contract/test_uploads.py::test_what_is_refused_leaves_the_upload_as_it_was",
    "STORE_EXPIRED": "tests/contract/test_vector_stores.py::test_expiry",
    "THREAD_LOCKED": "tests/runs/test_states.py::test_a_locked_thread",
    "THREAD_LOCKED_BY_ANOTHER_SERVER": "tests/runs/test_states.py::test_a_thread_that_is_locked_at_the_same_moment",
    "TOO_MANY_VALUES": "tests/contract/test_errors.py::test_a_body_of_very_many_values",
    "TOO_MANY_FIELDS": "tests/contract/test_files.py::test_forms_that_mean_no_good",
    "UPLOAD_NOT_PENDING": "tests/contract/test_uploads.py::test_what_is_over_stays_over",
    "WRONG_KEY": "tests/cli/test_serve.py::test_keys",
    "WRONG_MD5": "tests/contract/test_uploads.py::test_what_is_refused_leaves_the_upload_as_it_was",
    "WRONG_SIZE": "tests/contract/test_uploads.py::test_what_is_refused_leaves_the_upload_as_it_was",
}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.refusal)
def test_what_else_is_refused(client: OpenAI, ids: Ids, case: Case) -> None:
    asked_of = ids | {"thread_id": thread_with(client)} if case.refusal == "NOT_FOUND" else ids
    with pytest.raises(case.error) as caught:
        case.ask(client, asked_of)
    message = case.message.format(**ids)
    assert caught.value.body == {"message": message, "type": INVALID, "param": case.param, "code": case.code}
    assert caught.value.request_id


def test_a_file_that_is_not_there_says_so_twice(client: OpenAI, ids: Ids) -> None:
    for ask in (
        lambda: client.files.retrieve("file-none"),
        lambda: client.vector_stores.create(name="S", file_ids=["file-none"]),
        lambda: client.vector_stores.files.create(ids["vector_store_id"], file_id="file-none"),
        lambda: client.vector_stores.file_batches.create(ids["vector_store_id"], file_ids=["file-none"]),
    ):
        with pytest.raises(openai.NotFoundError) as caught:
            ask()
        message = "No such File object: file-none"
        error = {"message": message, "type": INVALID, "param": "id", "code": None}
        assert caught.value.response.json() == {"error": error, "detail": message}


def test_every_refusal_is_met() -> None:
    table = {name: one for name, one in vars(refusals).items() if isinstance(one, refusals.Refusal)}
    met = {row.refusal: row.code for row in ROWS} | {case.refusal: case.code for case in CASES}
    limits = {limit.code for limit in test_limits.LIMITS}
    by_limits = {name for name, one in table.items() if one.code in limits}
    assert {name: table[name].code for name in met} == met
    assert set(table) == set(met) | set(ELSEWHERE) | by_limits
    for test in ELSEWHERE.values():
        file, _, name = test.partition("::")
        assert f"def {name}(" in Path(file).read_text(), test
