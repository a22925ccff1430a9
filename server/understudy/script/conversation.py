"""What a script's conditions and templates see of a model call."""

import re
from dataclasses import dataclass
from typing import Any

from understudy.chat_models.base import JSON, ChatRequest
from understudy.chat_models.stand_in import last_turn
from understudy.script.template import Output, Passages

_IMAGE = re.compile(r"^\[image \d+ displayed\]\n?", re.MULTILINE)
_NO_OUTPUT = "(no output)"
_PASSAGE = re.compile(r"^(【\d+:\d+†([^】\n]*)】)\n(.*?)(?=\s*^【\d+:\d+†[^】\n]*】\n|\Z)", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class ToolOutput:
    """What a tool has answered; `tool` is the function's name, code_interpreter or file_search."""

    tool: str
    text: str


@dataclass(frozen=True, slots=True)
class Conversation:
    """A model call's situation."""

    user: str
    """The text of the last user message."""
    rounds: tuple[tuple[ToolOutput, ...], ...]
    """What the calls of each model call since then were answered with."""
    tools: dict[str, str]
    """The functions to call, by the names that scripts have for tools."""
    model: str
    assistant: tuple[str, ...]
    """Its name and its id, as far as there are."""
    metadata: dict[str, str]

    @classmethod
    def of(cls, request: ChatRequest) -> "Conversation":
        """That of a model call."""
        user, after = last_turn(request)
        tools = _tools(request)
        names = {name: tool for tool, name in tools.items()}
        return cls(
            user=_text(user),
            rounds=_rounds(after, names),
            tools=tools,
            model=request.model,
            assistant=tuple(filter(None, (request.assistant_name, request.assistant_id))),
            metadata=request.metadata,
        )

    def outputs(self) -> list[ToolOutput]:
        """All that tools have answered since the last user message."""
        return [output for one in self.rounds for output in one]

    def before(self, number: int) -> "Conversation":
        """What it was when so many rounds were over."""
        return Conversation(self.user, self.rounds[:number], self.tools, self.model, self.assistant, self.metadata)

    def variables(self) -> dict[str, Any]:
        """What templates may name, besides what conditions found."""
        name, *rest = self.assistant or ("",)
        outputs = [(output.tool, Output(output.text)) for output in self.outputs()]
        variables: dict[str, Any] = {
            **dict(outputs),
            "user": self.user,
            "model": self.model,
            "assistant": {"name": name, "id": rest[0] if rest else name},
            "metadata": self.metadata,
            "outputs": [output for _, output in outputs],
        }
        for tool, output in outputs:
            if tool == "code_interpreter":
                variables["logs"] = _logs(output)
            elif tool == "file_search":
                variables["results"] = _passages(output)
        return variables


def _text(message: JSON) -> str:
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return "\n".join(str(part.get("text", "")) for part in content if part.get("type") == "text")


def _tools(request: ChatRequest) -> dict[str, str]:
    names = [tool["function"]["name"] for tool in request.tools if "function" in tool]
    built_in = {"code_interpreter": request.code_interpreter, "file_search": request.file_search}
    return {name: name for name in names if name not in built_in.values()} | {
        tool: name for tool, name in built_in.items() if name
    }


def _rounds(messages: list[JSON], names: dict[str, str]) -> tuple[tuple[ToolOutput, ...], ...]:
    rounds: list[list[ToolOutput]] = []
    called: dict[str | None, str] = {}
    for message in messages:
        if message.get("tool_calls"):
            rounds.append([])
            functions = {call.get("id"): call.get("function", {}).get("name", "") for call in message["tool_calls"]}
            called |= {call_id: names.get(name, name) for call_id, name in functions.items()}
        elif message.get("role") == "tool" and rounds:
            rounds[-1].append(ToolOutput(called.get(message.get("tool_call_id"), ""), _text(message)))
    return tuple(map(tuple, rounds))


def _logs(output: str) -> str:
    """What the code printed."""
    return "" if output == _NO_OUTPUT else _IMAGE.sub("", output).strip()


def _passages(output: str) -> Passages:
    found = _PASSAGE.findall(output)
    return Passages({"mark": mark, "file": file, "text": text} for mark, file, text in found)
