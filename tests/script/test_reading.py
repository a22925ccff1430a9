"""Reading a script: what is taken, and with which line what is wrong is refused."""

import json
from pathlib import Path

import pytest

from understudy.script.script import Script, ScriptError

EXAMPLE = Path(__file__).parent / "weather.yaml"


def _errors(text: str, folder: Path | None = None) -> list[str]:
    with pytest.raises(ScriptError) as raised:
        Script.parse(text, "s.yaml", folder)
    return str(raised.value).splitlines()


def test_the_example_is_a_script() -> None:
    script = Script.read(EXAMPLE)
    assert [rule.line for rule in script.rules] == [3, 5, 11, 17]
    assert [turn.line for turn in script.rules[1].steps] == [7, 8, 10]
    assert script.rules[3].times == 2
    assert (script.name, script.on_miss) == ("weather.yaml", "fail")


def test_json_is_a_script() -> None:
    text = json.dumps({"version": 1, "on_miss": "offline", "rules": [{"when": {"user": "hi"}, "reply": "Hello"}]})
    script = Script.parse(text)
    assert script.on_miss == "offline"
    assert script.rules[0].reply == "Hello"


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ("rules:\n  - repply: Hi", 2, 5, "unknown key 'repply' (did you mean 'reply'?)"),
        ("rules:\n  - when: {usr: x}\n    reply: Hi", 2, 12, "unknown key 'usr' (did you mean 'user'?)"),
        ("rules:\n  - when: {output: {f: x}}\n    reply: Hi", 2, 12, "unknown key 'output'"),
        ("rules:\n  - when: {user: '/(/'}\n    reply: Hi", 2, 18, "not a regular expression"),
        ("rules:\n  - when: {user: ''}\n    reply: Hi", 2, 18, "an empty text is in every text"),
        ("rules:\n  - reply: 5", 2, 12, "expected a text (in quotes"),
        ("rules:\n  - {reply: a, times: 0}", 2, 23, "greater than or equal to 1"),
        ("rules:\n  - {reply: a, times: 1.5}", 2, 23, "integer"),
        ("rules:\n  - {reply: a, delay: -1}", 2, 23, "greater than or equal to 0"),
        ("rules:\n  - {reply: a, chunk: {every: 1}}", 2, 23, "'size' is missing"),
        ("rules:\n  - {fail: maybe}", 2, 12, "'rate_limit_exceeded' or 'invalid_prompt'"),
        ("rules:\n  - {reply: a, stop: bored}", 2, 22, "'length' or 'content_filter'"),
        ("rules:\n  - when: {user: x}", 2, 5, "a rule needs turns, or one of reply"),
        ("rules:\n  - turns:\n      - delay: 1", 3, 9, "a turn needs one of reply"),
        ("rules:\n  - turns: []", 2, 12, "at least 1 item"),
        ("rules:\n  - reply: a\n    turns: [{reply: b}]", 2, 5, "reply stands beside turns"),
        ("rules:\n  - {reply: a, refuse: b}", 2, 5, "exclude each other"),
        ("rules:\n  - call: {}", 2, 11, "expected the name of a function"),
        ("rules:\n  - call: {get weather: {}}", 2, 12, "'get weather' is no function's name"),
        ("rules:\n  - call: [{f: {}}, {f: 3}]", 2, 25, "expected a text"),
        ("version: 2\nrules: []", 1, 10, "expected 1"),
        ("version: 1", 1, 1, "'rules' is missing"),
        ("", 1, 1, "expected a mapping"),
        ("- reply: a", 1, 1, "expected a mapping"),
        ("rules: 3", 1, 8, "expected a list"),
        ("on_miss: guess\nrules: []", 1, 10, "'fail', 'offline', 'upstream' or 'auto'"),
        ("rules:\n\t- reply: a", 2, 1, "not YAML"),
        ("rules: [", 1, 9, "not YAML"),
        ("rules: []\nrules: []", 2, 1, "the key 'rules' is there twice"),
        ("rules: &r [*r]", 1, 8, "this contains itself"),
        ("rules:\n  - call: {f: {1: a}}", 2, 16, "expected a text as key: put 1 in quotes"),
        ("rules:\n  - call: {f: {a: .5e999}}", 2, 19, "expected a text, a number"),
        ("rules:\n  - call: {f: {a: !!binary aGk=}}", 2, 19, "expected a text, a number"),
        ("rules:\n  - call: {f: {[a]: 1}}", 2, 16, "expected a text as key"),
        ("rules:\n  - times: !!bool maybe", 2, 12, "no such value: 'maybe'"),
        ("rules:\n  - times: !!int many", 2, 12, "no such value: 'many'"),
        ("rules:\n  - times: !!python/name:os.system x", 2, 12, "not YAML"),
        ('rules:\n  - reply: "\\ud800"', 2, 12, "expected a text, a number"),
        ("[" * 5000, 1, 1, "nested too deeply"),
        ("rules: [{reply: \x01}]", 1, 1, "not YAML"),
        ("rules:\n  - reply: Hi ${name}", 2, 12, "unknown variable ${name}: this turn knows assistant"),
        ("rules:\n  - reply: Hi ${user", 2, 12, "write $${ for a plain ${"),
        ("rules:\n  - reply: Hi ${}", 2, 12, "is no ${name}"),
        ("rules:\n  - call: {f: {a: [1, '${f.x}']}}", 2, 23, "unknown variable ${f.x}"),
        ("rules:\n  - turns:\n      - reply: ${logs}\n      - python: 1 + 1", 3, 16, "unknown variable ${logs}"),
        ("rules:\n  - python: |\n      print('${x}')", 2, 13, "unknown variable ${x}"),
        ("rules:\n  - fail: {code: server_error, message: '${x}'}", 2, 41, "unknown variable ${x}"),
        ("rules:\n  - python: {code: x, image: a.png}", 2, 30, "a script that is no file can show data: URLs"),
        ("rules:\n  - python: {code: x, image: 'data:image/png;base64,aGk='}", 2, 30, "expected a PNG or a JPEG"),
        ("rules:\n  - python: {code: x, image: 'data:image/png;base64,?'}", 2, 30, "expected data:image/png;base64"),
    ],
)
def test_what_is_wrong_has_its_place(text: str, line: int, column: int, words: str) -> None:
    (error,) = _errors(text)
    assert error.startswith(f"s.yaml:{line}:{column}: error: "), error
    assert words in error


def test_all_that_is_wrong_is_told_at_once() -> None:
    errors = _errors("rules:\n  - repply: a\n  - when: {user: '/[/'}\n    reply: 1\n  - fail: no\n")
    assert [error.split(":")[1] for error in errors] == ["2", "3", "4", "5"]


def test_yaml_says_what_editors_say() -> None:
    text = (
        "rules:\n  - {when: {user: yes, model: 0123}, reply: 12:30}\n  - call: {f: {day: 2026-01-31, on: off, n: 1.5}}"
    )
    script = Script.parse(text)
    assert script.rules[0].when.user is not None
    assert (script.rules[0].when.user.source, script.rules[0].reply) == ("yes", "12:30")
    assert script.rules[1].calls == [("f", {"day": "2026-01-31", "on": "off", "n": 1.5})]


def test_merged_mappings_are_read_and_placed() -> None:
    text = "rules:\n  - &a\n    when: {user: a}\n    reply: A\n  - <<: *a\n    when: {user: b}\n    delay: -1\n"
    (error,) = _errors(text)
    assert error.startswith("s.yaml:7:12:")
    script = Script.parse(text.replace("-1", "1"))
    assert script.rules[1].reply == "A"
    assert script.rules[1].when.user is not None
    assert script.rules[1].when.user.source == "b"


def test_variables_of_earlier_turns_are_known() -> None:
    Script.parse(
        r"""
        rules:
          - when: {user: '/(?P<city>\w+)/', model: '/gpt-(?P<kind>\w+)/'}
            turns:
              - {call: [{f: {a: "${city} ${kind} ${1}"}}, {f: null}], python: "print(1)", search: x}
              - if: {output: {f: '/(?P<why>.+)/'}}
                reply: ${why} ${f.a.0} ${logs} ${results.0.text} ${outputs.0} ${metadata.x} ${assistant.name} ${model}
              - reply: ${nothing|else} $${plain}
        """
    )


def test_images_are_read_beside_the_script(tmp_path: Path) -> None:
    text = "rules:\n  - python: [1 + 1, {code: x, image: [plot.png, true]}]"
    (error,) = _errors(text, tmp_path)
    assert error.startswith("s.yaml:2:")
    assert "No such file" in error
    (tmp_path / "plot.png").write_bytes(b"\x89PNG and so on")
    (tmp_path / "s.yaml").write_text(text)
    assert Script.read(tmp_path / "s.yaml").images["plot.png"] == b"\x89PNG and so on"


def test_what_is_not_utf8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_bytes(b"rules: [{reply: \xff}]")
    with pytest.raises(ScriptError, match="s.yaml:1:1: error: not UTF-8"):
        Script.read(tmp_path / "s.yaml")


def test_a_rule_keeps_its_id_wherever_it_stands() -> None:
    rule, other = "  - {when: {user: a}, reply: A}\n", "  - reply: B\n"
    assert Script.parse(f"rules:\n{rule}{other}").ids == Script.parse(f"rules:\n{other}{rule}").ids[::-1]
