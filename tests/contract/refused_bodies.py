"""Bodies that are refused for one of their parameters, a row each: the operation, what is wrong, the exact error."""

from dataclasses import dataclass
from typing import Any

from tests.contract.requests import FUNCTION, MESSAGE, PATHS, STATIC

ATTACHED = {"file_id": "file-1", "tools": [{"type": "file_search"}]}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "answer"}}
NOWHERE: Any = object()
"""The value of a parameter that is left out."""


@dataclass(frozen=True)
class Row:
    """`refusal` answers the operation's least body with `value` at `place`, and names `param`."""

    refusal: str
    operation: str
    place: str
    value: Any
    message: str
    code: str
    param: str


def _missing(operation: str, *params: str) -> list[Row]:
    """A parameter whose siblings are there: `messages[0].content` is that of a message without it."""
    return [
        Row(
            "MISSING",
            operation,
            param,
            NOWHERE,
            f"Missing required parameter: '{param}'.",
            "missing_required_parameter",
            param,
        )
        for param in params
    ]


def _unknown(operation: str, *places: str) -> list[Row]:
    return [
        Row("UNKNOWN", operation, place, 1, f"Unknown parameter: '{place}'.", "unknown_parameter", place)
        for place in places
    ]


def _wrong(operation: str, place: str, value: Any, expected: str, got: str) -> Row:
    message = f"Invalid type for '{place}': expected {expected}, but got {got} instead."
    return Row("WRONG_TYPE", operation, place, value, message, "invalid_type", place)


def _no_value(operation: str, place: str, value: str, allowed: str, param: str | None = None) -> Row:
    one = " and " not in allowed
    refusal = "WRONG_VALUE" if one else "NO_SUCH_VALUE"
    message = f"Invalid value: '{value}'. {'Value must be' if one else 'Supported values are:'} {allowed}."
    return Row(refusal, operation, place, value, message, "invalid_value", param or place)


def _no_id(operation: str, place: str, value: Any, param: str | None = None, prefix: str = "file") -> Row:
    param = param or place
    message = f"Invalid '{param}': 'X'. Expected an ID that begins with '{prefix}'."
    return Row("NO_ID", operation, place, value, message, "invalid_value", param)


WITH = {
    "attachments": [ATTACHED],
    "messages": [MESSAGE | {"attachments": [ATTACHED]}],
    "tools": [FUNCTION],
    "expires_after": {"anchor": "last_active_at", "days": 1},
    "chunking_strategy": STATIC,
    "filters": {"type": "eq", "key": "a", "value": 1},
    "truncation_strategy": {"type": "last_messages", "last_messages": 1},
    "response_format": SCHEMA,
    "tool_choice": {"type": "function", "function": {"name": "f"}},
    "tool_outputs": [{"tool_call_id": "call_1", "output": "1"}],
    "content": [{"type": "text", "text": "hi"}],
    "files": [{"file_id": "file-1"}],
    "additional_messages": [MESSAGE],
}
"""What is there already, where the place to change lies within it."""

CODE_FILES = "tool_resources.code_interpreter.file_ids"
ROWS = [
    *_missing("createAssistant", "model", "tools[0].type", "tools[0].function", "tools[0].function.name"),
    *_missing("createAssistant", "response_format.type", "response_format.json_schema"),
    *_missing("createAssistant", "response_format.json_schema.name"),
    *_missing("createThread", "messages[0].role", "messages[0].content", "messages[0].attachments[0].tools"),
    *_missing("createThread", "messages[0].attachments[0].file_id"),
    *_missing("createMessage", "role", "content", "content[0].type", "content[0].text", "attachments[0].tools"),
    *_missing("createRun", "assistant_id", "tool_choice.type", "tool_choice.function", "tool_choice.function.name"),
    *_missing("createRun", "truncation_strategy.type", "truncation_strategy.last_messages"),
    *_missing("createRun", "additional_messages[0].role"),
    *_missing("createThreadAndRun", "assistant_id", "thread.messages[0].role"),
    *_missing("submitToolOuputsToRun", "tool_outputs", "tool_outputs[0].tool_call_id"),
    *_missing("createVectorStore", "expires_after.anchor", "expires_after.days", "chunking_strategy.type"),
    *_missing("createVectorStore", "chunking_strategy.static", "chunking_strategy.static.chunk_overlap_tokens"),
    *_missing("modifyVectorStore", "expires_after.days"),
    *_missing("searchVectorStore", "query", "filters.type", "filters.key", "filters.value"),
    *_missing("createVectorStoreFile", "file_id", "chunking_strategy.static.max_chunk_size_tokens"),
    *_missing("updateVectorStoreFileAttributes", "attributes"),
    *_missing("createVectorStoreFileBatch", "file_ids"),
    *(row for operation in PATHS for row in _unknown(operation, "x")),
    *_unknown("createAssistant", "tools[0].x", "tools[0].function.x", "tool_resources.x", "response_format.x"),
    *_unknown("createAssistant", "tool_resources.code_interpreter.x", "tool_resources.file_search.x"),
    *_unknown("createAssistant", "response_format.json_schema.x", "tool_resources.file_search.vector_stores[0].x"),
    *_unknown("createThread", "messages[0].x", "messages[0].attachments[0].x"),
    *_unknown("createMessage", "content[0].x", "attachments[0].x"),
    *_unknown(
        "createRun", "tool_choice.x", "truncation_strategy.x", "additional_messages[0].x", "thread", "tool_resources"
    ),
    *_unknown(
        "createThreadAndRun", "thread.x", "thread.messages[0].x", "additional_messages", "additional_instructions"
    ),
    *_unknown("modifyMessage", "content"),
    *_unknown("modifyRun", "instructions"),
    *_unknown("modifyThread", "messages"),
    *_unknown("modifyVectorStore", "file_ids", "expires_after.x"),
    *_unknown("submitToolOuputsToRun", "tool_outputs[0].x"),
    *_unknown("createVectorStore", "chunking_strategy.x", "chunking_strategy.static.x"),
    *_unknown("searchVectorStore", "filters.x", "ranking_options.x"),
    *_unknown("createVectorStoreFileBatch", "files[0].x"),
    _wrong("createAssistant", "model", 5, "a string", "an integer"),
    _wrong("createAssistant", "model", None, "a string", "null"),
    _wrong("createAssistant", "name", ["A"], "a string", "an array"),
    _wrong("createAssistant", "metadata", "x", "an object", "a string"),
    _wrong("createAssistant", "metadata.modified", True, "a string", "a boolean"),
    _wrong("createAssistant", "metadata.modified", None, "a string", "null"),
    _wrong("createAssistant", "temperature", "hot", "a decimal", "a string"),
    _wrong("createAssistant", "tools", "x", "an array of objects", "a string"),
    _wrong("createAssistant", "tools[0]", "x", "an object", "a string"),
    _wrong("createAssistant", "tools[0].function.parameters", "x", "an object", "a string"),
    _wrong("createAssistant", "tool_resources", [], "an object", "an array"),
    _wrong("createAssistant", CODE_FILES, "file-1", "an array of strings", "a string"),
    _wrong("createAssistant", f"{CODE_FILES}[0]", 1, "a string", "an integer"),
    _wrong("modifyAssistant", "instructions", {}, "a string", "an object"),
    _wrong("createThread", "messages", {}, "an array of objects", "an object"),
    _wrong("createThread", "messages[0]", 1, "an object", "an integer"),
    _wrong("modifyThread", "metadata", [], "an object", "an array"),
    _wrong("createMessage", "content", 5, "one of a string or array of objects", "an integer"),
    _wrong("createMessage", "content[0].text", 5, "a string", "an integer"),
    _wrong("createMessage", "attachments", "file-1", "an array of objects", "a string"),
    _wrong("modifyMessage", "metadata.a", 1, "a string", "an integer"),
    _wrong("createRun", "assistant_id", None, "a string", "null"),
    _wrong("createRun", "stream", "yes", "a boolean", "a string"),
    _wrong("createRun", "max_prompt_tokens", "16", "an integer", "a string"),
    _wrong("createRun", "max_prompt_tokens", 16.5, "an integer", "a decimal number"),
    _wrong("createRun", "parallel_tool_calls", 1, "a boolean", "an integer"),
    _wrong("createRun", "additional_messages", "hi", "an array of objects", "a string"),
    _wrong("createThreadAndRun", "thread", "thread_1", "an object", "a string"),
    _wrong("modifyRun", "metadata", True, "an object", "a boolean"),
    _wrong("submitToolOuputsToRun", "tool_outputs", {}, "an array of objects", "an object"),
    _wrong("submitToolOuputsToRun", "tool_outputs[0].output", {}, "a string", "an object"),
    _wrong("createVectorStore", "file_ids", {}, "an array of strings", "an object"),
    _wrong("modifyVectorStore", "name", 1, "a string", "an integer"),
    _wrong("modifyVectorStore", "expires_after.days", 1.5, "an integer", "a decimal number"),
    _wrong("searchVectorStore", "query", 1, "one of a string or array of strings", "an integer"),
    _wrong("createVectorStoreFile", "attributes.a", None, "one of a string, number, or boolean", "null"),
    _wrong("createVectorStoreFile", "attributes.a", ["b"], "one of a string, number, or boolean", "an array"),
    _wrong("updateVectorStoreFileAttributes", "attributes", "x", "an object", "a string"),
    _wrong("createVectorStoreFileBatch", "files", "file-1", "an array of objects", "a string"),
    _no_value("createThread", "messages[0].role", "system", "'user' and 'assistant'"),
    _no_value("createAssistant", "tools[0].type", "retrieval", "'code_interpreter', 'file_search', and 'function'"),
    _no_value("createAssistant", "response_format", "text", "'auto'"),
    _no_value("createAssistant", "response_format.type", "x", "'text', 'json_object', and 'json_schema'"),
    _no_value(
        "createAssistant", "reasoning_effort", "x", "'none', 'minimal', 'low', 'medium', 'high', 'xhigh', and 'max'"
    ),
    _no_value("createMessage", "content[0].type", "image", "'text', 'image_file', and 'image_url'"),
    _no_value("createMessage", "attachments[0].tools[0].type", "function", "'code_interpreter' and 'file_search'"),
    _no_value("createRun", "tool_choice", "any", "'none', 'auto', and 'required'"),
    _no_value("createRun", "tool_choice.type", "x", "'function', 'code_interpreter', and 'file_search'"),
    _no_value("createRun", "truncation_strategy.type", "x", "'auto' and 'last_messages'"),
    _no_value("createVectorStore", "expires_after.anchor", "created_at", "'last_active_at'"),
    _no_value("createVectorStore", "chunking_strategy.type", "semantic", "'auto' and 'static'"),
    _no_value("searchVectorStore", "filters.type", "x", "'eq', 'ne', 'gt', 'gte', 'lt', 'lte', 'in', and 'nin'"),
    _no_value(
        "searchVectorStore",
        "ranking_options.ranker",
        "x",
        "'none', 'auto', 'default-2024-11-15', and 'default_2024_08_21'",
    ),
    _no_id("createAssistant", CODE_FILES, ["X"], f"{CODE_FILES}[0]"),
    _no_id(
        "createThread", "messages[0].attachments", [ATTACHED | {"file_id": "X"}], "messages[0].attachments[0].file_id"
    ),
    _no_id("createVectorStore", "file_ids[0]", "X"),
    _no_id("createVectorStoreFile", "file_id", "X"),
    _no_id("createVectorStoreFileBatch", "file_ids[0]", "X"),
    _no_id("createAssistant", "id", "X", prefix="asst"),
    _no_id("createThread", "id", "X", prefix="thread"),
    _no_id("createVectorStore", "id", "X", prefix="vs"),
]
