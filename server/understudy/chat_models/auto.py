"""The model that uses all it is offered: each function and each built-in tool once, then answers with their outputs."""

import json
from collections.abc import AsyncGenerator
from typing import Any

from understudy.chat_models import offline_code, offline_search
from understudy.chat_models.base import JSON, ChatModelError, ChatRequest, Delta
from understudy.chat_models.json_schema import UnsatisfiableError, example
from understudy.chat_models.stand_in import last_turn, streamed, text_of, tool_outputs, user_functions

_NO_TEXT = "example"
_LOOK_AT_FILES = """\
from pathlib import Path

for path in sorted(Path("/mnt/data").iterdir()):
    print(f"{path.name}: {path.stat().st_size} bytes")
"""


class AutoModel:
    """A ChatModel for tests: the same request has the same answer, with arguments valid for their schema.

    The functions come first, all in one turn (one by one where calls may not be parallel), then the built-in tools.
    """

    backend = "auto"

    def stream(self, request: ChatRequest) -> AsyncGenerator[Delta, None]:
        """The answer's deltas, `Finish` last; raises ChatModelError for a schema that nothing satisfies."""
        calls = [(name, _arguments(request, name)) for name in _to_call(request)]
        return streamed(request, calls, "" if calls else _answer(request))

    async def list_models(self, caller_key: str | None) -> list[JSON]:  # noqa: ARG002
        """The one model there is."""
        return [{"id": "understudy-auto", "object": "model", "created": 0, "owned_by": "understudy"}]

    async def aclose(self) -> None:
        """Nothing to give back."""


def _to_call(request: ChatRequest) -> list[str]:
    """The tools of the next turn."""
    choice = request.tool_choice
    if choice == "none":
        return []
    if isinstance(choice, dict) and (forced := choice.get("function", {}).get("name")):
        return [forced]
    built_in = [name for name in (request.code_interpreter, request.file_search) if name]
    called = {call.get("name") for call, _ in tool_outputs(request)}
    turns = [[name for name in names if name not in called] for names in (user_functions(request), built_in)]
    names = turns[0] or turns[1]
    if not names and choice == "required":
        names = [*user_functions(request), *built_in][:1]
    return names[:1] if request.parallel_tool_calls is False else names


def _arguments(request: ChatRequest, name: str) -> JSON:
    text = text_of(last_turn(request)[0])
    if name == request.code_interpreter:
        return {"code": _code(text, request.code_files)}
    if name == request.file_search:
        return {"query": offline_search.query(text) or _NO_TEXT}
    parameters = user_functions(request).get(name, {}).get("parameters") or {}
    arguments: JSON = _valid({"type": "object", **parameters}, text, f"the arguments of {name}")
    return arguments


def _code(text: str, files: tuple[str, ...]) -> str:
    return offline_code.program(text, files) or (_LOOK_AT_FILES if files else offline_code.any_program(text, files))


def _answer(request: ChatRequest) -> str:
    outputs = {str(call.get("name")): _shown(request, call, output) for call, output in tool_outputs(request)}
    form = request.response_format or {}
    value: Any = outputs
    if form.get("type") == "json_schema":
        words = "\n".join([*(output for _, output in tool_outputs(request)), text_of(last_turn(request)[0])])
        value = _valid(form.get("json_schema", {}).get("schema", {}), words, "an answer in the response format")
    return json.dumps(value, ensure_ascii=False)


def _shown(request: ChatRequest, call: JSON, output: str) -> Any:
    """A tool's output as the answer has it."""
    name = call.get("name")
    if name == request.file_search:
        return offline_search.quotations(output, text_of(last_turn(request)[0]))
    if name == request.code_interpreter:
        return output
    try:
        value = json.loads(output)
        json.dumps(value, allow_nan=False)  # NaN and 1e999 are no JSON
    except (ValueError, RecursionError):
        return output
    return value


def _valid(schema: Any, text: str, what: str) -> Any:
    try:
        return example(schema, text=text)
    except UnsatisfiableError as error:
        raise ChatModelError("invalid_prompt", f"The auto model cannot make {what}: {error}.") from error
