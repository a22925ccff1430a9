"""Every limit of the API: what lies on it is accepted, one more is refused in the hosted API's words."""

from dataclasses import dataclass
from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.contract.calls import Ids, grown
from tests.contract.requests import FUNCTION, JSON, MESSAGE, STATIC, least, post, put
from tests.runs.streams import thread_with
from tests.scripted_upstream import ScriptedUpstream

WORDS = {
    "string_above_max_length": "string too long. Expected a string with maximum length {bound}, "
    "but got a string with length {got} instead.",
    "object_above_max_properties": "too many properties. Expected an object with at most {bound} properties, "
    "but got an object with {got} properties instead.",
    "array_above_max_length": "array too long. Expected an array with maximum length {bound}, "
    "but got an array with length {got} instead.",
    "empty_array": "empty array. Expected an array with minimum length {bound}, but got an empty array instead.",
    "empty_string": "empty string. Expected a string with minimum length {bound}, but got an empty string instead.",
    "integer_above_max_value": "integer above maximum value. Expected a value <= {bound}, but got {got} instead.",
    "integer_below_min_value": "integer below minimum value. Expected a value >= {bound}, but got {got} instead.",
    "decimal_above_max_value": "decimal above maximum value. Expected a value <= {bound}, but got {got} instead.",
    "decimal_below_min_value": "decimal below minimum value. Expected a value >= {bound}, but got {got} instead.",
}


@dataclass(frozen=True)
class Limit:
    """`bound` is where the values of a parameter end, `accepted` and `refused` lie on its two sides."""

    operation: str
    param: str
    code: str
    bound: int
    accepted: Any
    refused: Any
    got: float
    context: tuple[tuple[str, Any], ...] = ()


def _texts(operations: str, param: str, bound: int, *context: tuple[str, Any]) -> list[Limit]:
    values = ("x" * bound, "x" * (bound + 1), bound + 1)
    return [
        Limit(name, param, "string_above_max_length", bound, *values, context=context) for name in operations.split()
    ]


def _arrays(operations: str, param: str, bound: int, item: Any, *context: tuple[str, Any]) -> list[Limit]:
    values = ([item] * bound, [item] * (bound + 1), bound + 1)
    return [
        Limit(name, param, "array_above_max_length", bound, *values, context=context) for name in operations.split()
    ]


def _numbers(operations: str, param: str, least: int, most: int | None, *context: tuple[str, Any]) -> list[Limit]:
    limits = []
    for name in operations.split():
        limits.append(Limit(name, param, "integer_below_min_value", least, least, least - 1, least - 1, context))
        if most is not None:
            limits.append(Limit(name, param, "integer_above_max_value", most, most, most + 1, most + 1, context))
    return limits


def _decimals(operations: str, param: str, most: int, *context: tuple[str, Any]) -> list[Limit]:
    limits = []
    for name in operations.split():
        limits.append(Limit(name, param, "decimal_below_min_value", 0, 0, -0.1, -0.1, context))
        limits.append(Limit(name, param, "decimal_above_max_value", most, most, most + 0.1, most + 0.1, context))
    return limits


def _properties(operations: str, param: str, value: Any, *context: tuple[str, Any]) -> list[Limit]:
    """Of metadata and attributes: how many, and how long their values are."""
    many = {str(number): value for number in range(17)}
    few = dict(list(many.items())[:16])
    limits = []
    for name in operations.split():
        limits.append(Limit(name, param, "object_above_max_properties", 16, few, many, 17, context))
        limits += _texts(name, f"{param}.key", 512, *context)
    return limits


ASSISTANTS = "createAssistant modifyAssistant"
RUNS = "createRun createThreadAndRun"
CODE_FILES = "tool_resources.code_interpreter.file_ids"
SEARCH = "tool_resources.file_search"
THREAD_SEARCH = f"{ASSISTANTS} createThread modifyThread createThreadAndRun"
RANKING = ("tools", [{"type": "file_search", "file_search": {"ranking_options": {"score_threshold": 0}}}])
FILE = ("files", [{"file_id": "{file_id}"}])
CHUNKS = "chunking_strategy.static.max_chunk_size_tokens"
OVERLAP = "chunking_strategy.static.chunk_overlap_tokens"
STRATEGY = ("chunking_strategy", STATIC)
DAYS = ("expires_after", {"anchor": "last_active_at"})

LIMITS = [
    *_texts(ASSISTANTS, "name", 256),
    *_texts(ASSISTANTS, "description", 512),
    *_texts(ASSISTANTS, "instructions", 256_000),
    *_texts(RUNS, "instructions", 256_000),
    *_texts("createVectorStore modifyVectorStore", "name", 256),
    *_texts("createVectorStore", "description", 512),
    *_texts(f"{ASSISTANTS} {RUNS}", "tools[0].function.name", 64, ("tools", [FUNCTION])),
    *_texts("searchVectorStore", "query", 4096),
    *_arrays(ASSISTANTS, "tools", 128, {"type": "code_interpreter"}),
    *_arrays(RUNS, "tools", 20, {"type": "code_interpreter"}),
    *_arrays(THREAD_SEARCH, CODE_FILES, 20, "{file_id}"),
    *_arrays("createThreadAndRun", f"thread.{CODE_FILES}", 20, "{file_id}"),
    *_arrays(THREAD_SEARCH, f"{SEARCH}.vector_store_ids", 1, "{vector_store_id}"),
    *_arrays("createThreadAndRun", f"thread.{SEARCH}.vector_store_ids", 1, "{vector_store_id}"),
    *_arrays("createAssistant createThread", f"{SEARCH}.vector_stores", 1, {}),
    *_arrays("createAssistant createThread", f"{SEARCH}.vector_stores[0].file_ids", 10_000, "{file_id}"),
    *_arrays("createVectorStore", "file_ids", 500, "{file_id}"),
    *_arrays("createVectorStoreFileBatch", "file_ids", 2000, "{file_id}"),
    *_arrays("createVectorStoreFileBatch", "files", 2000, {"file_id": "{file_id}"}, ("file_ids", None)),
    *_properties(f"{ASSISTANTS} createThread modifyThread createMessage modifyMessage", "metadata", "x"),
    *_properties(f"{RUNS} modifyRun createVectorStore modifyVectorStore", "metadata", "x"),
    *_properties("createThread", "messages[0].metadata", "x", ("messages", [MESSAGE])),
    *_properties("createRun", "additional_messages[0].metadata", "x", ("additional_messages", [MESSAGE])),
    *_properties("createThreadAndRun", "thread.metadata", "x"),
    *_properties("createThreadAndRun", "thread.messages[0].metadata", "x"),
    *_properties("createAssistant createThread", f"{SEARCH}.vector_stores[0].metadata", "x"),
    *_properties("createVectorStoreFile updateVectorStoreFileAttributes", "attributes", 1),
    *_properties("createVectorStoreFileBatch", "attributes", 1),
    *_properties("createVectorStoreFileBatch", "files[0].attributes", 1, ("file_ids", None), FILE),
    *_numbers(RUNS, "max_prompt_tokens", 1, None),
    *_numbers(RUNS, "max_completion_tokens", 1, None),
    *_numbers(RUNS, "truncation_strategy.last_messages", 1, None, ("truncation_strategy.type", "last_messages")),
    *_numbers(f"{ASSISTANTS} {RUNS}", "tools[0].file_search.max_num_results", 1, 50, RANKING),
    *_numbers("searchVectorStore", "max_num_results", 1, 50),
    *_numbers("createVectorStore modifyVectorStore", "expires_after.days", 1, 365, DAYS),
    *_numbers("createVectorStore createVectorStoreFile createVectorStoreFileBatch", CHUNKS, 100, 4096, STRATEGY),
    *_numbers("createVectorStore createVectorStoreFile createVectorStoreFileBatch", OVERLAP, 0, 400, STRATEGY),
    *_decimals(f"{ASSISTANTS} {RUNS}", "temperature", 2),
    *_decimals(f"{ASSISTANTS} {RUNS}", "top_p", 1),
    *_decimals(f"{ASSISTANTS} {RUNS}", "tools[0].file_search.ranking_options.score_threshold", 1, RANKING),
    *_decimals("searchVectorStore", "ranking_options.score_threshold", 1),
    Limit("searchVectorStore", "query", "empty_string", 1, "x", "", 0),
    Limit("searchVectorStore", "query", "empty_array", 1, ["x"], [], 0),
    Limit("createVectorStoreFileBatch", "file_ids", "empty_array", 1, ["{file_id}"], [], 0),
    Limit(
        "createVectorStoreFileBatch",
        "files",
        "empty_array",
        1,
        [{"file_id": "{file_id}"}],
        [],
        0,
        (("file_ids", None),),
    ),
    Limit("createMessage", "content", "empty_array", 1, [{"type": "text", "text": "hi"}], [], 0),
]
OWNERS = {
    "metadata": f"{ASSISTANTS} {RUNS} createThread modifyThread createMessage modifyMessage modifyRun "
    "createVectorStore modifyVectorStore",
    "attributes": "createVectorStoreFile updateVectorStoreFileAttributes createVectorStoreFileBatch",
}
KEYS = [(owner, operation) for owner, operations in OWNERS.items() for operation in operations.split()]


@pytest.fixture(scope="module")
def ids(client: OpenAI, upstream: ScriptedUpstream) -> Ids:
    return grown(client, upstream)


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: f"{limit.operation}-{limit.param}-{limit.code}")
def test_a_limit(client: OpenAI, ids: Ids, limit: Limit) -> None:
    ids = _fresh(client, limit.operation, ids)
    body = least(limit.operation, ids)
    for place, value in limit.context:
        body = put(body, place, _filled(value, ids))
    assert post(client, limit.operation, ids, put(body, limit.param, _filled(limit.accepted, ids)))
    ids = _fresh(client, limit.operation, ids)
    with pytest.raises(openai.BadRequestError) as caught:
        post(client, limit.operation, ids, put(body, limit.param, _filled(limit.refused, ids)))
    words = WORDS[limit.code].format(bound=limit.bound, got=limit.got)
    assert caught.value.body == _error(f"Invalid '{limit.param}': {words}", limit.param, limit.code)


@pytest.mark.parametrize(("owner", "operation"), KEYS)
def test_the_length_of_a_key(client: OpenAI, ids: Ids, owner: str, operation: str) -> None:
    ids = _fresh(client, operation, ids)
    assert post(client, operation, ids, least(operation, ids) | {owner: {"k" * 64: "x"}})
    ids, key = _fresh(client, operation, ids), "k" * 65
    with pytest.raises(openai.BadRequestError) as caught:
        post(client, operation, ids, least(operation, ids) | {owner: {key: "x"}})
    words = "is too long. Expected a string with maximum length 64, but got a string with length 65 instead."
    message = f"Invalid property name in '{owner}': '{key}' {words}"
    assert caught.value.body == _error(message, f"{owner}.{key}", "property_name_above_max_length")


def test_what_the_hosted_api_accepted_below_its_documented_limit(client: OpenAI, ids: Ids) -> None:
    body = least("createThreadAndRun", ids) | {"max_prompt_tokens": 16, "max_completion_tokens": 16}
    run = post(client, "createThreadAndRun", ids, body)
    assert (run["max_prompt_tokens"], run["max_completion_tokens"]) == (16, 16)


def _fresh(client: OpenAI, operation: str, ids: Ids) -> Ids:
    """A run and a message each need a thread that no run has locked."""
    return ids | {"thread_id": thread_with(client)} if operation in ("createRun", "createMessage") else ids


def _filled(value: Any, ids: Ids) -> Any:
    """The value with real ids in its braces."""
    if isinstance(value, str):
        return value.format(**ids) if value.startswith("{") else value
    if isinstance(value, list):
        return [_filled(one, ids) for one in value]
    return {name: _filled(one, ids) for name, one in value.items()} if isinstance(value, dict) else value


def _error(message: str, param: str, code: str) -> JSON:
    return {"message": message, "type": "invalid_request_error", "param": param, "code": code}
