"""A turn of a script as a model's deltas."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from understudy.chat_models.base import (
    JSON,
    ChatModelError,
    ChatRequest,
    RefusalDelta,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from understudy.script import template
from understudy.script.conversation import Conversation
from understudy.script.grammar import Answer, CannedCode
from understudy.script.script import Script

Piece = TextDelta | RefusalDelta | ToolCallDelta
_LONGEST_PIECE = 64  # of a call's arguments
_FAILURES = {
    "rate_limit_exceeded": "Rate limit reached: the script lets the run fail.",
    "server_error": "Sorry, something went wrong: the script lets the run fail.",
    "invalid_prompt": "The prompt is invalid: the script lets the run fail.",
}
_SCALARS: dict[str, type | tuple[type, ...]] = {"integer": int, "number": (int, float), "boolean": bool}


class TurnError(ValueError):
    """The run does not have what the turn needs."""


class Performance:
    """A turn in its situation. Its methods raise TurnError and TemplateError."""

    def __init__(
        self,
        script: Script,
        turn: Answer,
        request: ChatRequest,
        conversation: Conversation,
        variables: Mapping[str, Any],
    ) -> None:
        self._script = script
        self._turn = turn
        self._request = request
        self._tools = conversation.tools
        self._variables = variables

    def pieces(self) -> list[Piece]:
        """All that is said and called, in pieces as they stream."""
        said: list[Piece] = []
        if self._turn.reply is not None:
            said += map(TextDelta, self._cut(self._filled(self._turn.reply)))
        if self._turn.refuse is not None:
            said += map(RefusalDelta, self._cut(self._filled(self._turn.refuse)))
        for index, (name, arguments, outputs) in enumerate(self._calls()):
            said.append(ToolCallDelta(index, name=name, outputs=outputs))
            said += (ToolCallDelta(index, arguments=piece) for piece in self._cut(arguments, _LONGEST_PIECE))
        return said

    def failure(self) -> ChatModelError | None:
        """How the run is to fail."""
        if (failure := self._turn.failure) is None:
            return None
        message = _FAILURES[failure.code] if failure.message is None else self._filled(failure.message)
        return ChatModelError(failure.code, message)

    def usage(self) -> Usage | None:
        """Tokens, where the script counts them."""
        return Usage(**self._turn.usage.model_dump()) if self._turn.usage else None

    def _filled(self, text: str) -> str:
        return template.text(text, self._variables)

    def _cut(self, text: str, longest: int | None = None) -> list[str]:
        size = self._turn.pace.size if self._turn.pace else longest
        if size is None:
            return re.findall(r"\S+\s*|\s+", text)
        return [text[start : start + size] for start in range(0, len(text), size)]

    def _calls(self) -> Iterator[tuple[str, str, tuple[str | bytes, ...] | None]]:
        """Function, arguments and canned outputs of each call."""
        for name, arguments in self._turn.calls:
            yield self._function(name), self._arguments(name, arguments), None
        for program in self._turn.programs:
            code = program.code if isinstance(program, CannedCode) else program
            outputs = self._outputs(program) if isinstance(program, CannedCode) else None
            yield self._function("code_interpreter"), _json({"code": self._filled(code)}), outputs
        for query in self._turn.queries:
            yield self._function("file_search"), _json({"query": self._filled(query)}), None

    def _function(self, tool: str) -> str:
        """The name under which the model calls a tool."""
        if tool not in self._tools:
            offered = ", ".join(self._tools) or "no tools"
            raise TurnError(f"the turn calls {tool}, but the run offers {offered}")
        return self._tools[tool]

    def _arguments(self, name: str, arguments: JSON | str | None) -> str:
        given = template.value(arguments or {}, self._variables)
        if isinstance(given, str):
            return given
        if isinstance(given, dict) and isinstance(arguments, dict):
            wanted = self._wanted(name)
            given = {
                key: _typed(value, wanted.get(key)) if template.only_reference(arguments[key]) else value
                for key, value in given.items()
            }
        return _json(given)

    def _wanted(self, name: str) -> dict[str, Any]:
        """The function's parameters, as it declares them."""
        for tool in self._request.tools:
            if tool.get("function", {}).get("name") == name:
                properties = (tool["function"].get("parameters") or {}).get("properties")
                return properties if isinstance(properties, dict) else {}
        return {}

    def _outputs(self, canned: CannedCode) -> tuple[str | bytes, ...]:
        logs = [self._filled(canned.logs)] if canned.logs is not None else []
        return (*logs, *(self._script.images[image] for image in canned.images))


def _typed(value: Any, schema: Any) -> Any:
    """The number or the truth value that a text is, where the schema asks for one: what the user wrote is text."""
    wanted = _SCALARS.get(str(schema.get("type"))) if isinstance(schema, dict) else None
    if wanted is None or not isinstance(value, str):
        return value
    try:
        found = json.loads(value)
    except ValueError:
        return value
    return found if isinstance(found, wanted) else value


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
