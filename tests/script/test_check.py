"""`understudy check`: findings with their places, exit codes, and the JSON Schema that says the same as the reader."""

import json
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from understudy.script.document import Document
from understudy.script.grammar import PARTS
from understudy.script.review import review
from understudy.script.schema import json_schema
from understudy.script.script import Script, ScriptError

EXAMPLE = Path(__file__).parent / "weather.yaml"
PAGES = Path(__file__).parents[2] / "docs"
EXAMPLES = [
    block
    for page in sorted(PAGES.glob("*.md"))
    for block in re.findall(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL)
    if re.search(r"^rules:", block, re.MULTILINE)
]


def _check(*arguments: object) -> tuple[int, list[str], str]:
    command = [sys.executable, "-m", "understudy", "check", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout.splitlines(), done.stderr


def _found(text: str) -> list[tuple[int, str, str]]:
    return [(finding.line, finding.severity, finding.message) for finding in review(Script.parse(text))]


@pytest.mark.parametrize(
    ("first", "second", "shadowed"),
    [
        ("", "user: a", True),
        ("user: a", "", False),
        ("user: hello", "user: Say HELLO again", True),
        ("user: hello again", "user: hello", False),
        ("user: /a/", "user: /a/", True),
        ("user: /a/", "user: a", False),
        ("user: a", "user: /a/", False),
        ("user: a", "user: a, model: m", True),
        ("user: a, model: m", "user: a", False),
        ("model: m", "model: m2", False),
        ("model: /m/", "model: m2", True),
        ("assistant: A", "assistant: A, user: x", True),
        ("tools: [f]", "tools: [g, f]", True),
        ("tools: [f, g]", "tools: [f]", False),
        ("metadata: {a: x}", "metadata: {a: x, b: y}", True),
        ("metadata: {a: x}", "metadata: {a: y}", False),
        ("metadata: {a: x}", "metadata: {b: x}", False),
    ],
)
def test_shadowed_rules(first: str, second: str, shadowed: bool) -> None:
    found = _found(f"rules:\n  - {{when: {{{first}}}, reply: A}}\n  - {{when: {{{second}}}, reply: B}}")
    message = "never matches: rule 1 (line 2) comes first and matches whatever this one does"
    assert found == ([(3, "warning", message)] if shadowed else [])


def test_a_rule_that_gives_way_shadows_none() -> None:
    assert _found("rules: [{when: {user: a}, times: 1, fail: server_error}, {when: {user: a}, reply: A}]") == []


def test_turns_that_nobody_comes_to() -> None:
    found = _found(
        """
        rules:
          - when: {tools: [f]}
            turns:
              - call: {f: {}}
              - {if: {output: {g: x}}, reply: a}
              - reply: b
              - call: {f: {}}
        """
    )
    assert found == [
        (6, "warning", "never taken: g is not called before, so there is no output of it"),
        (8, "warning", "never reached: the run ends with the turn on line 7"),
    ]


def test_notes() -> None:
    assert _found("rules:\n  - call: {f: {}}\n") == [
        (2, "note", "calls f: `tools: [f]` in `when` would keep it from runs that do not offer that"),
        (2, "note", "the run fails once this call is answered: there is no turn after it"),
    ]


def test_the_command(tmp_path: Path) -> None:
    wrong, shadowed = tmp_path / "wrong.yaml", tmp_path / "shadowed.json"
    wrong.write_text("rules:\n  - repply: a\n  - reply: ${x}\n")
    shadowed.write_text('{"rules": [{"reply": "a"},\n {"reply": "b"}]}')
    assert _check(EXAMPLE) == (0, ["1 script checked: nothing wrong"], "")
    code, lines, said = _check(EXAMPLE, wrong, shadowed)
    assert code == 1
    assert [line.partition(" (")[0] for line in lines] == [
        f"{wrong}:2:5: error: unknown key 'repply'",
        f"{shadowed}:2:2: warning: never matches: rule 1",
    ]
    assert said == "understudy: 1 errors, 1 warnings\n"
    code, _, said = _check(tmp_path / "nowhere.yaml")
    assert (code, "No such file" in said) == (2, True)
    assert _check()[0] == 2


@pytest.mark.parametrize("text", EXAMPLES)
def test_the_examples_of_the_docs_are_scripts(text: str) -> None:
    assert review(Script.parse(text)) == []
    jsonschema.validate(Document(text).data, json_schema(), jsonschema.Draft202012Validator)


def test_the_docs_have_the_example() -> None:
    assert any(EXAMPLE.read_text() in text for text in EXAMPLES)


def test_the_schema_is_printed() -> None:
    code, lines, _ = _check("--schema")
    assert code == 0
    assert json.loads("\n".join(lines)) == json_schema()


def test_the_schema_knows_every_key() -> None:
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    parts = {**schema["$defs"], "ScriptFile": schema}
    for part in PARTS:
        keys = {field.alias or name for name, field in part.model_fields.items()}
        assert set(parts[part.__name__]["properties"]) == keys
        assert parts[part.__name__]["additionalProperties"] is False


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        (EXAMPLE.read_text(), True),
        ("rules: []", True),
        ("rules: [{call: [{f: null}, {f: {a: 1}}], usage: {prompt_tokens: 1}}]", True),
        ("rules: [{python: {code: x, logs: y, image: true}, chunk: {size: 1, every: 0.1}}]", True),
        ("rules: [{turns: [{if: {output: {f: x}}, search: [a, b]}]}]", True),
        ("rules: [{fail: {code: server_error}, reply: x, delay: 1}]", True),
        ("rules: [{repply: x}]", False),
        ("rules: [{reply: 1}]", False),
        ("rules: [{reply: x, times: 0}]", False),
        ("rules: [{fail: no}]", False),
        ("rules: [{when: {output: {f: x}}, reply: x}]", False),
        ("rules: [{turns: []}]", False),
        ("{}", False),
    ],
)
def test_the_schema_and_the_reader_agree(text: str, valid: bool) -> None:
    assert jsonschema.Draft202012Validator(json_schema()).is_valid(Document(text).data) is valid
    if valid:
        Script.parse(text)
    else:
        with pytest.raises(ScriptError):
            Script.parse(text)
