"""The tool calls of one model turn: what streams in, what steps store, what the model is told of the answers."""

import json
import re
from dataclasses import dataclass, field

import orjson

from understudy.schemas.base import JSON

_CODE_KEY = re.compile(r'^\s*\{\s*"(?:code|input)"\s*:\s*"')
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
class ToolCall:
    """One call. `index` counts within its step."""

    index: int
    id: str
    name: str
    is_code: bool
    arguments: str = ""
    output: str | None = None
    code: str = ""
    outputs: list[JSON] = field(default_factory=list)
    reader: CodeArgument = field(default_factory=CodeArgument)

    def opening(self) -> JSON:
        """The call's first delta: id and name, nothing streamed yet [R]."""
        return {"index": self.index} | self._detail("", [], "", None)

    def detail(self) -> JSON:
        """The call as its step stores it."""
        return self._detail(self.code, self.outputs, self.arguments, self.output)

    def _detail(self, code: str, outputs: list[JSON], arguments: str, output: str | None) -> JSON:
        if self.is_code:
            interpreter = {"input": code, "outputs": outputs}
            return {"id": self.id, "type": "code_interpreter", "code_interpreter": interpreter}
        function = {"name": self.name, "arguments": arguments, "output": output}
        return {"id": self.id, "type": "function", "function": function}

    def feed(self, fragment: str) -> JSON | None:
        """Take a piece of the arguments; the delta that shows it, None where there is nothing to show."""
        if not self.is_code:
            self.arguments += fragment
            return self._delta({"arguments": fragment})
        added = self.reader.feed(fragment)
        return self._delta({"input": added}) if added else None

    def finish(self) -> JSON | None:
        """No more arguments come; the delta of what was not shown yet."""
        if not self.is_code:
            return None
        self.code, rest = self.reader.finish()
        return self._delta({"input": rest}) if rest else None

    def add_output(self, output: JSON) -> JSON:
        """Take an output of the code; its delta. Logs that follow logs continue them."""
        if output["type"] == "logs" and self.outputs and self.outputs[-1]["type"] == "logs":
            self.outputs[-1] = {"type": "logs", "logs": self.outputs[-1]["logs"] + output["logs"]}
        else:
            self.outputs.append(output)
        return self._delta({"outputs": [{"index": len(self.outputs) - 1, **output}]})

    def waiting(self) -> JSON:
        """The call as `required_action` lists it."""
        function = {"name": self.name, "arguments": self.arguments}
        return {"id": self.id, "type": "function", "function": function}

    def _delta(self, change: JSON) -> JSON:
        kind = "code_interpreter" if self.is_code else "function"
        return {"index": self.index, "type": kind, kind: change}


def replayed(step_details: JSON, code_name: str) -> list[JSON]:
    """A finished tool calls step as Chat Completions messages: the assistant's calls, then their answers."""
    calls, answers = [], []
    for call in step_details["tool_calls"]:
        if call["type"] == "code_interpreter":
            name, content = code_name, outputs_text(call["code_interpreter"]["outputs"])
            arguments = orjson.dumps({"code": call["code_interpreter"]["input"]}).decode()
        else:
            function = call["function"]
            name, arguments, content = function["name"], function["arguments"] or "{}", function["output"] or ""
        calls.append({"id": call["id"], "type": "function", "function": {"name": name, "arguments": arguments}})
        answers.append({"role": "tool", "tool_call_id": call["id"], "content": content})
    return [{"role": "assistant", "content": None, "tool_calls": calls}, *answers]


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
