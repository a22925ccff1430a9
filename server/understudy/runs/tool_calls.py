"""The tool calls of one model turn: what streams in, what steps store, what the model is told of the answers."""

import json
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass, field

import orjson

from understudy.runs import citations
from understudy.runs.tools import OfferedTools
from understudy.schemas.base import JSON

_CODE_KEY = re.compile(r'^\s*\{\s*"(?:code|input)"\s*:\s*"')
_QUERY_NAMES = ("query", "queries", "search_query", "search_queries", "q", "input", "text")
_MOST_QUERIES = 8
_LONGEST_QUERY = 4096
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", '"': '"', "\\": "\\", "/": "/"}


class CodeArgument:
    """Reads the code out of streamed arguments `{"code": "…"}`, escape by escape.

    Models also send the bare program where JSON was asked for; that is taken as it is.
    """

    def __init__(self) -> None:
        self._raw = ""
        self._position: int | None = None
        self._shown = ""

    def feed(self, fragment: str) -> str:
        """The code that `fragment` adds."""
        self._raw += fragment
        if self._position is None:
            if not (key := _CODE_KEY.match(self._raw)):
                return ""
            self._position = key.end()
        added = "".join(self._decode())
        self._shown += added
        return added

    def finish(self) -> tuple[str, str]:
        """The whole code, and what of it no call of `feed` has returned."""
        code = self._whole()
        rest = code.removeprefix(self._shown) if code.startswith(self._shown) else ""
        return self._shown + rest, rest

    def _whole(self) -> str:
        try:
            arguments = json.loads(self._raw, strict=False)
        except (ValueError, RecursionError):  # ValueError also for integers of too many digits
            return self._shown or self._raw
        if isinstance(arguments, dict):
            return _storable(str(arguments.get("code", arguments.get("input", ""))))
        return _storable(arguments) if isinstance(arguments, str) else self._raw

    def _decode(self) -> list[str]:
        decoded = []
        while self._position is not None and self._position < len(self._raw):
            character = self._raw[self._position]
            if character == '"':
                break
            if character != "\\":
                end = re.compile(r'[\\"]').search(self._raw, self._position)
                stop = end.start() if end else len(self._raw)
                decoded.append(self._raw[self._position : stop])
                self._position = stop
                continue
            step = self._escape(self._position)
            if step is None:
                break
            text, length = step
            decoded.append(text)
            self._position += length
        return decoded

    def _escape(self, at: int) -> tuple[str, int] | None:
        """The character that the escape at `at` means and the escape's length; None while it is not complete."""
        kind = self._raw[at + 1 : at + 2]
        if kind != "u":
            return (_ESCAPES.get(kind, kind), 2) if kind else None
        length = 12 if re.match(r"\\u[dD][89abAB]", self._raw[at : at + 4]) else 6
        escape = self._raw[at : at + length]
        if len(escape) < length:
            return None
        try:
            return _storable(json.loads(f'"{escape}"')), length
        except json.JSONDecodeError:
            return "\ufffd", 6


def _storable(text: str) -> str:
    """Lone surrogates, which neither JSON nor the database takes, replaced."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


@dataclass(slots=True)
class ToolCall(ABC):
    """One call. `index` counts within its step."""

    index: int
    id: str
    name: str

    @abstractmethod
    def detail(self) -> JSON:
        """The call as its step stores it."""

    def opening(self) -> JSON:
        """The call's first delta: id and name, nothing streamed yet [R]."""
        return {"index": self.index} | self.detail()

    @abstractmethod
    def feed(self, fragment: str) -> JSON | None:
        """Take a piece of the arguments; the delta that shows it, None where there is nothing to show."""

    def finish(self) -> JSON | None:
        """No more arguments come; the delta of what was not shown yet."""
        return None


@dataclass(slots=True)
class FunctionCall(ToolCall):
    """A call of a function, which the client answers."""

    arguments: str = ""
    output: str | None = None

    def detail(self) -> JSON:
        """With the client's answer, None until it is there."""
        function = {"name": self.name, "arguments": self.arguments, "output": self.output}
        return {"id": self.id, "type": "function", "function": function}

    def feed(self, fragment: str) -> JSON:
        """Arguments are shown as they come."""
        self.arguments += fragment
        return {"index": self.index, "type": "function", "function": {"arguments": fragment}}

    def waiting(self) -> JSON:
        """The call as `required_action` lists it."""
        function = {"name": self.name, "arguments": self.arguments}
        return {"id": self.id, "type": "function", "function": function}


@dataclass(slots=True)
class CodeCall(ToolCall):
    """A call of the code interpreter."""

    code: str = ""
    outputs: list[JSON] = field(default_factory=list)
    canned: tuple[str | bytes, ...] | None = None
    """What the model gave as outputs, so that the code is not run: texts as logs, bytes as images."""
    reader: CodeArgument = field(default_factory=CodeArgument)

    def detail(self) -> JSON:
        """With code and outputs."""
        interpreter = {"input": self.code, "outputs": self.outputs}
        return {"id": self.id, "type": "code_interpreter", "code_interpreter": interpreter}

    def feed(self, fragment: str) -> JSON | None:
        """The code is shown as it comes."""
        added = self.reader.feed(fragment)
        return self._delta({"input": added}) if added else None

    def finish(self) -> JSON | None:
        """The rest of the code."""
        self.code, rest = self.reader.finish()
        return self._delta({"input": rest}) if rest else None

    def add_output(self, output: JSON) -> JSON:
        """Take an output of the code; its delta. Logs that follow logs continue them."""
        if output["type"] == "logs" and self.outputs and self.outputs[-1]["type"] == "logs":
            self.outputs[-1] = {"type": "logs", "logs": self.outputs[-1]["logs"] + output["logs"]}
        else:
            self.outputs.append(output)
        return self._delta({"outputs": [{"index": len(self.outputs) - 1, **output}]})

    def _delta(self, change: JSON) -> JSON:
        return {"index": self.index, "type": "code_interpreter", "code_interpreter": change}


@dataclass(slots=True)
class SearchCall(ToolCall):
    """A call of file search."""

    ranking_options: JSON = field(default_factory=dict)
    arguments: str = ""
    queries: list[str] = field(default_factory=list)
    number: int = 0
    results: list[JSON] = field(default_factory=list)

    def detail(self) -> JSON:
        """With what the model is told again in the run's later rounds, which the wire does not show."""
        search = {"ranking_options": self.ranking_options, "results": self.results}
        return self._of_type(search | {"queries": self.queries, "number": self.number})

    def opening(self) -> JSON:
        """All that a stream shows before the step is complete [R]."""
        return {"index": self.index} | self._of_type({"ranking_options": self.ranking_options, "results": []})

    def feed(self, fragment: str) -> None:
        """Arguments are not shown."""
        self.arguments += fragment

    def finish(self) -> None:
        """The queries are known."""
        self.queries = search_queries(self.arguments)

    def _of_type(self, search: JSON) -> JSON:
        return {"id": self.id, "type": "file_search", "file_search": search}


def new_call(tools: OfferedTools, index: int, call_id: str, name: str) -> ToolCall:
    """The call that the model begins by naming a function."""
    if name == tools.code_interpreter:
        return CodeCall(index, call_id, name)
    if name == tools.file_search:
        return SearchCall(index, call_id, name, tools.search_settings.echoed())
    return FunctionCall(index, call_id, name)


def search_queries(arguments: str) -> list[str]:
    """The queries in `{"query": "…"}`, and in what models send instead: lists of queries, the bare query."""
    try:
        given = json.loads(arguments, strict=False)
    except (ValueError, RecursionError):
        given = arguments
    if isinstance(given, dict):
        given = next((given[name] for name in _QUERY_NAMES if given.get(name)), None)
    if isinstance(given, dict):
        given = list(given.values())
    queries = given if isinstance(given, list) else [given]
    texts = [
        _storable(str(query)).strip()[:_LONGEST_QUERY] for query in queries if isinstance(query, str | int | float)
    ]
    return list(dict.fromkeys(filter(None, texts)))[:_MOST_QUERIES]


def replayed(step_details: JSON, tools: OfferedTools) -> list[JSON]:
    """A finished tool calls step as Chat Completions messages: the assistant's calls, then their answers."""
    calls, answers = [], []
    for call in step_details["tool_calls"]:
        name, arguments, content = _replayed(call, tools)
        calls.append({"id": call["id"], "type": "function", "function": {"name": name, "arguments": arguments}})
        answers.append({"role": "tool", "tool_call_id": call["id"], "content": content})
    return [{"role": "assistant", "content": None, "tool_calls": calls}, *answers]


def _replayed(call: JSON, tools: OfferedTools) -> tuple[str, str, str]:
    """A call's name, arguments and answer."""
    match call["type"]:
        case "code_interpreter":
            code = {"code": call["code_interpreter"]["input"]}
            name, answer = tools.code_interpreter, outputs_text(call["code_interpreter"]["outputs"])
            return name or "code_interpreter", orjson.dumps(code).decode(), answer
        case "file_search":
            queries = call["file_search"]["queries"]
            asked = {"query": queries[0]} if len(queries) == 1 else {"queries": queries}
            name, answer = tools.file_search, citations.told(call["file_search"])
            return name or "file_search", orjson.dumps(asked).decode(), answer
    function = call["function"]
    return function["name"], function["arguments"] or "{}", function["output"] or ""


def outputs_text(outputs: list[JSON]) -> str:
    """What the model is told of its code's outputs."""
    lines, images = [], 0
    for output in outputs:
        if output["type"] == "logs":
            lines.append(output["logs"])
        else:
            images += 1
            lines.append(f"[image {images} displayed]")
    return "\n".join(lines) or "(no output)"
