"""The model that answers where no upstream is configured: deterministic, labelled, never any network.

What it does, in this order: report tool outputs; call a function that is forced or named; run code; search the files;
answer in the JSON format asked for; else echo.
"""

import json
import re
from collections.abc import AsyncGenerator

from understudy.chat_models import offline_code, offline_search
from understudy.chat_models.base import JSON, ChatRequest, Delta
from understudy.chat_models.json_schema import UnsatisfiableError, example
from understudy.chat_models.stand_in import last_turn, parts, streamed, text_of, tool_outputs, user_functions

LABEL = "[offline stand-in, no model]"

_QUOTED_LENGTH = 200
_REPORTED_LENGTH = 6000

_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_IMAGE = re.compile(r"^\[image \d+ displayed\]$", re.MULTILINE)
_SAVED = re.compile(r"^saved: sandbox:(/mnt/data/.+)$", re.MULTILINE)
_FINDING = re.compile(r"^(?:best|worst|trend) .+: .+$", re.MULTILINE)
_FAILED = re.compile(r"Traceback \(most recent call last\)|^ *Cell In ?\[\d+\], line", re.MULTILINE)
_ERROR_LINE = re.compile(r"^[\w.]+: .+|^[\w.]*(?:Error|Exception|Interrupt|Exit)$", re.MULTILINE)
_WRITTEN = re.compile(r"[\"'](/mnt/data/[^\"'/\n]+\.\w+)[\"']")


class OfflineModel:
    """A ChatModel that is none."""

    backend = "offline"

    def stream(self, request: ChatRequest) -> AsyncGenerator[Delta, None]:
        """The answer's deltas, `Finish` last."""
        calls = _calls(request)
        return streamed(request, calls, "" if calls else _answer(request))

    async def list_models(self, caller_key: str | None) -> list[JSON]:  # noqa: ARG002
        """The one model there is."""
        return [{"id": "understudy-offline", "object": "model", "created": 0, "owned_by": "understudy"}]

    async def aclose(self) -> None:
        """Nothing to give back."""


# Steps 2 to 4: calls


def _calls(request: ChatRequest) -> list[tuple[str, JSON]]:
    """Names and arguments of the tools to call now."""
    if request.tool_choice == "none" or tool_outputs(request):
        return []
    text = text_of(last_turn(request)[0])
    functions = user_functions(request)
    named = _named_functions(functions, text)
    calls = _forced_calls(request, text) or [_function_call(functions[name], part) for name, part in named]
    if not calls and request.code_interpreter and (code := offline_code.program(text, request.code_files)):
        calls = [(request.code_interpreter, {"code": code})]
    if not calls and request.file_search and request.vector_stores and text.strip():
        calls = [(request.file_search, {"query": offline_search.query(text)})]
    if not calls and request.tool_choice == "required":
        calls = _any_call(request, text)
    return calls[:1] if request.parallel_tool_calls is False else calls


def _forced_calls(request: ChatRequest, text: str) -> list[tuple[str, JSON]]:
    choice = request.tool_choice if isinstance(request.tool_choice, dict) else {}
    name = choice.get("function", {}).get("name")
    if name is None:
        return []
    if name == request.code_interpreter:
        return [(name, {"code": offline_code.any_program(text, request.code_files)})]
    if name == request.file_search:
        return [(name, {"query": offline_search.query(text)})]
    return [_function_call(user_functions(request).get(name, {"name": name}), text)]


def _any_call(request: ChatRequest, text: str) -> list[tuple[str, JSON]]:
    for function in user_functions(request).values():
        return [_function_call(function, text)]
    if request.code_interpreter:
        return [(request.code_interpreter, {"code": offline_code.any_program(text, request.code_files)})]
    if request.file_search:
        return [(request.file_search, {"query": offline_search.query(text)})]
    return []


def _named_functions(functions: dict[str, JSON], text: str) -> list[tuple[str, str]]:
    """The functions named in the text, in its order, each with what the text says after the name and before all."""
    found: list[tuple[int, int, str]] = []
    for name in sorted(functions, key=len, reverse=True):
        spelled = r"[\s_-]+".join(map(re.escape, re.split(r"[_-]+", name)))
        match = re.search(rf"(?<!\w){spelled}(?!\w)", text, re.IGNORECASE)
        # "get weather forecast" names get_weather_forecast, not get_weather.
        if match and not any(start <= match.start() < end for start, end, _ in found):
            found.append((*match.span(), name))
    found.sort()
    if len(found) == 1:
        return [(found[0][2], text)]
    starts = [start for start, _, _ in found] + [len(text)]
    return [
        (name, f"{text[start:end]}\n{text[: starts[0]]}")
        for (start, _, name), end in zip(found, starts[1:], strict=True)
    ]


def _function_call(function: JSON, text: str) -> tuple[str, JSON]:
    try:
        values = example({"type": "object", **(function.get("parameters") or {})}, text=text)
    except UnsatisfiableError:
        values = {}
    return function["name"], values


# Steps 1, 6 and 7: texts


def _answer(request: ChatRequest) -> str:
    outputs = tool_outputs(request)
    text = _report(request, outputs) if outputs else _echo(last_turn(request)[0])
    form = request.response_format or {}
    match form.get("type"):
        case "json_object":
            return json.dumps({"offline_stand_in": "no model", "echo": text}, ensure_ascii=False)
        case "json_schema":
            words = "\n".join([*(output for _, output in outputs), text_of(last_turn(request)[0])])
            try:
                value = example(form.get("json_schema", {}).get("schema", {}), text=words)
            except UnsatisfiableError as error:
                return f"{LABEL} {error}"
            return json.dumps(value, ensure_ascii=False)
    return f"{LABEL} {text}"


def _report(request: ChatRequest, outputs: list[tuple[JSON, str]]) -> str:
    functions = []
    reports = []
    for call, output in outputs:
        name = call.get("name", "the tool")
        if name == request.code_interpreter:
            reports.append(_code_report(output, call.get("arguments", ""), request.code_files))
        elif name == request.file_search:
            reports.append(offline_search.report(output, text_of(last_turn(request)[0])))
        else:
            functions.append(f"{name} answered: {_shortened(output, _REPORTED_LENGTH)}")
    if functions:
        reports.append("\n".join(functions))
    return "\n\n".join(reports)


def _code_report(output: str, arguments: str, code_files: tuple[str, ...]) -> str:
    output = _ANSI.sub("", output)
    if _FAILED.search(output):
        lines = _ERROR_LINE.findall(output) or output.split("\n")
        return f"I ran Python code and it failed: {lines[-1].strip()}"
    images = len(_IMAGE.findall(output))
    printed = _SAVED.sub("", _IMAGE.sub("", output)).strip()
    printed = "" if printed == "(no output)" else printed
    sentences = [_finding_sentence(printed), _printed_sentence(printed), _chart_sentence(images)]
    sentences += [_link(path) for path in _written(output, arguments, code_files) if f"sandbox:{path}" not in printed]
    return "\n\n".join(filter(None, sentences)) or "I ran Python code; it printed nothing."


def _finding_sentence(printed: str) -> str:
    findings = _FINDING.findall(printed)
    return f"The analysis says: {'; '.join(findings[:40])}." if findings else ""


def _printed_sentence(printed: str) -> str:
    if "\n" not in printed:
        return f"The code printed: {_shortened(printed, _REPORTED_LENGTH)}" if printed else ""
    return f"The code printed:\n\n```\n{_shortened(printed, _REPORTED_LENGTH)}\n```"


def _chart_sentence(images: int) -> str:
    return "" if not images else "A chart was drawn." if images == 1 else f"{images} charts were drawn."


def _written(output: str, arguments: str, code_files: tuple[str, ...]) -> list[str]:
    """Paths of the files that the code saved, as it says or as its own text shows."""
    try:
        code = str(json.loads(arguments)["code"])
    except (ValueError, LookupError, TypeError):
        code = ""
    attached = {f"/mnt/data/{name}" for name in code_files}
    named = [path for path in _WRITTEN.findall(code) if path not in attached]
    return list(dict.fromkeys([*_SAVED.findall(output), *named]))


def _link(path: str) -> str:
    return f"Saved: [{path.rpartition('/')[2]}](sandbox:{path})"


def _echo(message: JSON) -> str:
    text = _shortened(" ".join(text_of(message).split()), _QUOTED_LENGTH)
    images = len(parts(message, "image_url"))
    said = f'You said: "{text}"' if text else "You said nothing"
    seen = f" and sent {images} image{'s' if images > 1 else ''}, which nobody looked at" if images else ""
    return f"No model is configured; start the server with `--upstream URL` for real answers. {said}{seen}."


def _shortened(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
