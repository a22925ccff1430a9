"""Which rule matches a model call, and what is said where none does."""

import asyncio
from typing import Any

import pytest

from understudy.chat_models.base import JSON, ChatModelError, ChatRequest, Delta, Position, TextDelta
from understudy.chat_models.offline import LABEL, OfflineModel
from understudy.script.model import ModelCall, ScriptModel
from understudy.script.script import Script

BOB: JSON = {"assistant_id": "asst_1", "assistant_name": "Bob", "metadata": {"tier": "pro"}}


def _function(name: str, **properties: JSON) -> JSON:
    return {"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": properties}}}


def _model(rules: str, **given: Any) -> ScriptModel:
    return ScriptModel(Script.parse(rules, "s.yaml"), **given)


def _deltas(model: ScriptModel, user: str | list[JSON], *after: JSON, **fields: Any) -> list[Delta]:
    messages: list[JSON] = [{"role": "user", "content": "earlier"}, {"role": "assistant", "content": "so"}]
    messages += [{"role": "user", "content": user}, *after]
    request = ChatRequest(**{"model": "gpt-4o", "messages": messages, **BOB, **fields})

    async def collect() -> list[Delta]:
        return [delta async for delta in model.stream(request)]

    return asyncio.run(collect())


def _text(model: ScriptModel, user: str | list[JSON], *after: JSON, **fields: Any) -> str:
    deltas = _deltas(model, user, *after, **fields)
    return "".join(delta.text for delta in deltas if isinstance(delta, TextDelta))


def _called(*calls: tuple[str, str, str]) -> list[JSON]:
    """An answer's calls of functions with their arguments, and their outputs."""
    made = [
        {"id": f"call_{number}", "type": "function", "function": {"name": name, "arguments": arguments}}
        for number, (name, arguments, _) in enumerate(calls)
    ]
    answers = [
        {"role": "tool", "tool_call_id": f"call_{number}", "content": output}
        for number, (_, _, output) in enumerate(calls)
    ]
    return [{"role": "assistant", "content": None, "tool_calls": made}, *answers]


@pytest.mark.parametrize(
    ("when", "holds"),
    [
        ("{}", True),
        ("{user: WEATHER in}", True),
        ("{user: storm}", False),
        ("{user: earlier}", False),
        (r"{user: '/in \w+$/'}", True),
        ("{user: '/WEATHER/'}", False),
        ("{user: '/WEATHER/i'}", True),
        ("{user: '/^the.+$/is'}", True),
        ("{user: '/the'}", False),
        ("{assistant: Bob}", True),
        ("{assistant: asst_1}", True),
        ("{assistant: bob}", False),
        ("{assistant: Bo}", False),
        ("{assistant: '/^B/'}", True),
        ("{model: gpt-4o}", True),
        ("{model: gpt-4}", False),
        ("{model: /gpt-4/}", True),
        ("{tools: [f]}", True),
        ("{tools: [f, code_interpreter]}", True),
        ("{tools: [f, file_search]}", False),
        ("{tools: [python_tool]}", False),
        ("{metadata: {tier: pro}}", True),
        ("{metadata: {tier: pr}}", False),
        ("{metadata: {tier: /^pr/}}", True),
        ("{metadata: {tier: pro, plan: x}}", False),
        ("{user: weather, model: gpt-4}", False),
    ],
)
def test_conditions(when: str, holds: bool) -> None:
    model = _model(f"rules:\n  - {{when: {when}, reply: yes}}\n  - reply: no")
    tools = [_function("python_tool"), _function("f")]
    said = _text(model, "The\nweather in Paris", tools=tools, code_interpreter="python_tool")
    assert said == ("yes" if holds else "no")


def test_texts_of_parts_are_read() -> None:
    parts: list[JSON] = [
        {"type": "text", "text": "a b"},
        {"type": "image_url", "image_url": {}},
        {"type": "text", "text": "c"},
    ]
    assert _text(_model("rules: [{when: {user: '/^a b$/m'}, reply: '${user.words.2}'}]"), parts) == "c"


def test_where_nobody_has_spoken() -> None:
    model = _model("rules: [{when: {user: a}, reply: A}, {reply: '${assistant.name|nobody} ${user|silence}'}]")
    request = ChatRequest(model="m", messages=[{"role": "system", "content": "a"}])

    async def collect() -> list[Delta]:
        return [delta async for delta in model.stream(request)]

    assert [delta.text for delta in asyncio.run(collect()) if isinstance(delta, TextDelta)] == ["nobody ", "silence"]


def test_a_miss_says_why() -> None:
    calls: list[ModelCall] = []
    model = _model(
        """
        rules:
          - {when: {user: hi, tools: [f, g], metadata: {tier: free, plan: x}}, reply: A}
          - {when: {user: /^hi$/, assistant: Eve, model: gpt-5}, reply: B}
        """,
        note=calls.append,
    )
    with pytest.raises(ChatModelError) as raised:
        _deltas(model, "good  morning", tools=[_function("f")])
    assert raised.value.code == "server_error"
    first, second, third = raised.value.message.splitlines()
    assert first == 'No rule of s.yaml matches: user "good morning", model gpt-4o, assistant "Bob", tools f.'
    assert second == (
        '  rule 1 (line 3): user does not contain "hi"; the run does not offer g; metadata.tier is "pro", not "free"; '
        'metadata.plan is not set, not "x"'
    )
    assert third == (
        '  rule 2 (line 4): user does not match /^hi$/; assistant is "Bob" or "asst_1", not "Eve"; '
        'model is "gpt-4o", not "gpt-5"'
    )
    (call,) = calls
    assert (call.rule, call.turn, call.error) == (None, None, raised.value.message)
    assert [len(miss.reasons) for miss in call.misses] == [4, 3]


def test_a_long_list_of_misses_is_cut() -> None:
    rules = "".join(f"  - {{when: {{user: {'x' * 90}{number}}}, reply: A}}\n" for number in range(500))
    with pytest.raises(ChatModelError) as raised:
        _deltas(_model(f"rules:\n{rules}"), "hi")
    assert len(raised.value.message) == 4000


def test_a_match_is_noted_with_what_missed_before() -> None:
    calls: list[ModelCall] = []
    _text(_model("rules:\n  - {when: {user: a}, reply: A}\n  - turns:\n    - reply: B", note=calls.append), "x")
    assert [(call.rule, call.turn, call.line, call.error) for call in calls] == [(2, 1, 4, None)]
    assert [(miss.rule, miss.line, miss.reasons) for miss in calls[0].misses] == [
        (1, 2, ('user does not contain "a"',))
    ]


def test_times_counts_runs() -> None:
    model = _model(
        "rules: [{when: {user: a}, times: 2, turns: [{call: {f: {}}}, {reply: A}]}, {when: {user: a}, reply: B}]"
    )
    tools = [_function("f")]
    for _ in range(2):
        position = next(delta for delta in _deltas(model, "a", tools=tools) if isinstance(delta, Position))
        said = _text(model, "a", *_called(("f", "{}", "1")), tools=tools, position=position.state)
        assert said == "A"
    assert _text(model, "a", tools=tools) == "B"


def test_a_chat_completion_goes_on_where_its_messages_are() -> None:
    model = _model(
        """
        rules:
          - {when: {user: a}, times: 1, fail: server_error}
          - when: {user: a}
            turns:
              - call: {f: {}}
              - {if: {output: {f: again}}, call: {f: {more: 1}, g: {}}}
              - reply: ${f} ${g|none}
        """
    )
    tools = [_function("f"), _function("g")]
    with pytest.raises(ChatModelError):
        _deltas(model, "a", tools=tools)
    assert _text(model, "a", *_called(("f", "{}", "done")), tools=tools) == "done none"
    begun = _called(("f", "{}", "again"))
    assert _text(model, "a", *begun, tools=tools) == ""
    assert _text(model, "a", *begun, *_called(("g", "{}", "2"), ("f", "{}", "1")), tools=tools) == "1 2"
    with pytest.raises(ChatModelError, match="what was called so far is not what its turns call"):
        _deltas(model, "a", *_called(("g", "{}", "1")), tools=tools)


def test_a_run_stays_with_its_rule_when_the_script_changes() -> None:
    rule = "  - {when: {user: '/(?P<what>a)/'}, turns: [{call: {f: {}}}, {reply: 'was ${what}, is ${f}'}]}\n"
    tools = [_function("f")]
    position = next(
        delta for delta in _deltas(_model(f"rules:\n{rule}"), "a", tools=tools) if isinstance(delta, Position)
    )
    changed = _model(f"rules:\n  - {{reply: new}}\n{rule}")
    said = _text(changed, "a", *_called(("f", "{}", "1")), tools=tools, position=position.state)
    assert said == "was a, is 1"


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ("[{call: {f: {}}}]", 'of the rule\'s 1 turn none is left for it. f answered "1". Add a turn'),
        ("[{turns: [{call: {f: {}}}, {if: {output: {f: x}}, reply: a}]}]", "of the rule's 2 turns none is left"),
        ("[{turns: [{call: {f: {}}}, {if: {output: {g: x}}, reply: a}]}]", "of the rule's 2 turns none is left"),
        ("[{turns: [{call: {f: {}}}, {reply: '${f.a}'}]}]", "s.yaml, line 1: ${f.a} has no value: f is 1"),
        ("[{turns: [{call: {f: {}}}, {call: {g: {}}}]}]", "the turn calls g, but the run offers f"),
        ("[{turns: [{call: {f: {}}}, {python: '1'}]}]", "the turn calls code_interpreter, but the run offers f"),
        ("[{turns: [{call: {f: {}}}, {search: '1'}]}]", "the turn calls file_search, but the run offers f"),
    ],
)
def test_a_run_that_the_script_cannot_go_on_with(rules: str, message: str) -> None:
    calls: list[ModelCall] = []
    model = _model(f"rules: {rules}", note=calls.append)
    with pytest.raises(ChatModelError) as raised:
        _deltas(model, "a", *_called(("f", "{}", "1")), tools=[_function("f")])
    assert raised.value.code == "server_error"
    assert message in raised.value.message
    assert calls[0].error == raised.value.message
    assert calls[0].rule == 1


def test_another_model_answers_what_no_rule_matches() -> None:
    text = "on_miss: offline\nrules: [{when: {user: a}, reply: A}]"
    model = _model(text, others={"offline": OfflineModel()})
    assert _text(model, "a") == "A"
    deltas = _deltas(model, "x")
    assert "".join(delta.text for delta in deltas if isinstance(delta, TextDelta)).startswith(LABEL)
    # Nobody else answers the run's later calls, whatever the rules say by then.
    position = next(delta.state for delta in deltas if isinstance(delta, Position))
    assert _text(model, "a", position=position).startswith(LABEL)


def test_another_model_that_is_not_there() -> None:
    with pytest.raises(ChatModelError, match="on_miss: upstream, and this server has none"):
        _deltas(_model("on_miss: upstream\nrules: []"), "a")
