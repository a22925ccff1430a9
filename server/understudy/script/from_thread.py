"""A script of what happened in a thread: the same user messages make the model say and call the same again."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from understudy.script.document import written
from understudy.script.pattern import Pattern

JSON = dict[str, Any]
_SHOWN = 300
_ENDS = {"max_tokens": "length", "content_filter": "content_filter"}


@dataclass(frozen=True, slots=True)
class Record:
    """What the API tells of a thread: messages and runs, oldest first, and each run's steps."""

    messages: list[JSON]
    runs: list[JSON]
    steps: dict[str, list[JSON]]
    images: dict[str, str] | None = None
    """data: URLs of the images that code drew, by file id: its outputs are written down. None: the code runs again."""


def script_of(record: Record) -> str:
    """The script's text."""
    rules = []
    asked = _asked(record)
    for number, run in enumerate(record.runs):
        steps = record.steps[run["id"]]
        turns = list(_turns(record, run, steps))
        rules += [f"# {line}\n" for line in _remarks(run, steps, turns)]
        if turns:
            rule: JSON = {"when": {"user": _condition(asked[number], asked[number + 1 :])}}
            if asked[number] in asked[number + 1 :]:
                rule["times"] = 1
            rule |= turns[0] if len(turns) == 1 else {"turns": turns}
            rules.append(written([rule]))
    head = "version: 1\nrules:" + ("\n" if any(rule.startswith("-") for rule in rules) else " []\n")
    return head + "".join(rules)


# What the user had said


def _asked(record: Record) -> list[str]:
    """The text of the last user message before each run."""
    texts, last = [], -1
    for number, run in enumerate(record.runs):
        mine = [place for place, message in enumerate(record.messages) if message.get("run_id") == run["id"]]
        new = [
            place
            for place, message in enumerate(record.messages)
            if message["role"] == "user"
            and last < place < (mine[0] if mine else len(record.messages))
            and message["created_at"] <= run["created_at"]
        ]
        if new:
            # Times are in whole seconds: where a run left no message, later runs of its second have theirs too.
            later = [one for one in record.runs[number + 1 :] if one["created_at"] == run["created_at"]]
            last = new[-1] if mine else new[max(0, len(new) - 1 - len(later))]
        texts.append(_text(record.messages[last]) if last >= 0 else "")
    return texts


def _condition(text: str, later: list[str]) -> str:
    """Plain text where that is enough: where it is in no other text that comes later."""
    folded = text.casefold()
    if text and Pattern(text).regex is None and not any(folded in one.casefold() for one in later if one != text):
        return text
    return f"/\\A{re.escape(text)}\\Z/"


# What the model did


def _turns(record: Record, run: JSON, steps: list[JSON]) -> Iterator[JSON]:
    turn: JSON = {}
    for step in steps:
        if step["type"] == "message_creation":
            message = _message(record, step["step_details"]["message_creation"]["message_id"])
            turn |= _said(message) if message else {"reply": ""}
        else:
            turn |= _called(step["step_details"]["tool_calls"], record.images)
            if step["status"] == "completed":
                yield turn
                turn = {}
    # What has not ended as the run went on, and how the run ended.
    turn |= _ending(run, turn)
    if turn:
        yield turn


def _ending(run: JSON, turn: JSON) -> JSON:
    error = run["last_error"]
    if run["status"] == "failed" and error and "stop" not in turn:
        return {"fail": {"code": error["code"], "message": _plain(error["message"])}}
    if run["status"] == "incomplete" and "stop" not in turn:
        return {"reply": turn.get("reply", ""), "stop": "length"}
    return {}


def _said(message: JSON) -> JSON:
    refusals = [block["refusal"] for block in message["content"] if block["type"] == "refusal"]
    said: JSON = {"refuse": _plain("".join(refusals))} if refusals else {"reply": _plain(_text(message))}
    if message["status"] == "incomplete" and (reason := (message["incomplete_details"] or {}).get("reason")) in _ENDS:
        said["stop"] = _ENDS[reason]
    return said


def _called(calls: list[JSON], images: dict[str, str] | None) -> JSON:
    functions = [{call["function"]["name"]: _arguments(call)} for call in calls if call["type"] == "function"]
    programs = [_program(call["code_interpreter"], images) for call in calls if call["type"] == "code_interpreter"]
    # What was searched for is not on record.
    queries = ["${user}" for call in calls if call["type"] == "file_search"]
    turn: JSON = {}
    if functions:
        merged = {name: arguments for one in functions for name, arguments in one.items()}
        turn["call"] = merged if len(merged) == len(functions) else functions
    if programs:
        turn["python"] = programs[0] if len(programs) == 1 else programs
    if queries:
        turn["search"] = queries[0] if len(queries) == 1 else queries
    return turn


def _arguments(call: JSON) -> Any:
    text = call["function"]["arguments"]
    try:
        arguments = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return _plain(text)
    return _plain(arguments) if isinstance(arguments, dict) else _plain(text)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def _program(call: JSON, images: dict[str, str] | None) -> Any:
    if images is None:
        return _plain(call["input"])
    program: JSON = {"code": _plain(call["input"])}
    logs = [output["logs"] for output in call["outputs"] if output["type"] == "logs"]
    drawn = [images[output["image"]["file_id"]] for output in call["outputs"] if output["type"] == "image"]
    if logs:
        program["logs"] = _plain("".join(logs))
    if drawn:
        program["image"] = drawn[0] if len(drawn) == 1 else drawn
    return program


def _remarks(run: JSON, steps: list[JSON], turns: list[JSON]) -> Iterator[str]:
    yield f"{run['id']}: {run['status']}" + ("" if turns else " before the model said anything")
    for step in steps:
        for call in step["step_details"].get("tool_calls", []):
            if call["type"] == "function" and call["function"].get("output") is not None:
                output = json.dumps(call["function"]["output"])
                shown = output if len(output) <= _SHOWN else f"{output[:_SHOWN]}…"
                yield f"{call['function']['name']} answered {shown}"


def _message(record: Record, message_id: str) -> JSON | None:
    return next((message for message in record.messages if message["id"] == message_id), None)


def _text(message: JSON) -> str:
    return "\n".join(block["text"]["value"] for block in message["content"] if block["type"] == "text")


def _plain(value: Any) -> Any:
    """The value as a template of itself."""
    match value:
        case str():
            return value.replace("${", "$${")
        case list():
            return [_plain(item) for item in value]
        case dict():
            return {key: _plain(item) for key, item in value.items()}
    return value
