"""The offline model: its order, and that the programs it writes really run."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from understudy.chat_models.base import JSON, ChatModel, ChatRequest, Delta, Finish, TextDelta, ToolCallDelta
from understudy.chat_models.offline import LABEL, OfflineModel
from understudy.chat_models.offline_code import program
from understudy.runs import citations

ANALYSE = "Please analyse the attached sales data and identify the best and worst performing months."
PLOT = "Can you plot revenue over time and describe the trend?"
SUMMARY = "column,total,best,worst\nrevenue,78000,May,Mar\nusers,2170,May,Mar\n"
SALES = "month,revenue,users\nJan,12000,340\nFeb,15000,410\nMar,11000,290\nApr,18000,520\nMay,22000,610\n"

WEATHER: JSON = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]}},
            "required": ["city", "unit"],
            "additionalProperties": False,
        },
        "strict": True,
    },
}
TIME: JSON = {
    "type": "function",
    "function": {
        "name": "get_time",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
FORECAST: JSON = {
    "type": "function",
    "function": {
        "name": "get_weather_forecast",
        "parameters": {"type": "object", "properties": {"days": {"type": "integer"}}, "required": ["days"]},
    },
}
CODE: JSON = {
    "type": "function",
    "function": {
        "name": "code_interpreter",
        "parameters": {"type": "object", "properties": {"code": {"type": "string"}}, "required": ["code"]},
    },
}

SEARCH: JSON = {
    "type": "function",
    "function": {
        "name": "file_search",
        "parameters": {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]},
    },
}


def ask(text: str | list[JSON], *tools: JSON, after: list[JSON] | None = None, **fields: Any) -> list[Delta]:
    messages: list[JSON] = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": text},
        *(after or []),
    ]
    if CODE in tools:
        fields["code_interpreter"] = "code_interpreter"
    if SEARCH in tools:
        fields["file_search"] = "file_search"
    request = ChatRequest(model="gpt-4.1", messages=messages, tools=list(tools), **fields)

    async def collect() -> list[Delta]:
        model: ChatModel = OfflineModel()
        return [delta async for delta in model.stream(request)]

    return asyncio.run(collect())


def text_of(deltas: list[Delta]) -> str:
    assert all(isinstance(delta, TextDelta) for delta in deltas[:-1])
    return "".join(delta.text for delta in deltas if isinstance(delta, TextDelta))


def calls_of(deltas: list[Delta]) -> list[tuple[str, Any]]:
    pieces: dict[int, list[ToolCallDelta]] = {}
    for delta in deltas[:-1]:
        assert isinstance(delta, ToolCallDelta)
        pieces.setdefault(delta.index, []).append(delta)
    assert list(pieces) == list(range(len(pieces)))
    for first, *others in pieces.values():
        assert first.name
        assert first.id is None
        assert not any(piece.name for piece in others)
    return [
        (str(first.name), json.loads("".join(piece.arguments for piece in others)))
        for first, *others in pieces.values()
    ]


def finish_of(deltas: list[Delta]) -> Finish:
    assert isinstance(deltas[-1], Finish)
    return deltas[-1]


def answered(name: str, output: str, arguments: JSON | None = None) -> list[JSON]:
    function = {"name": name, "arguments": json.dumps(arguments or {})}
    return [
        {"role": "assistant", "content": None, "tool_calls": [{"id": name, "type": "function", "function": function}]},
        {"role": "tool", "tool_call_id": name, "content": output},
    ]


# Echo, pieces and usage


def test_echo_is_labelled_and_streamed_by_words() -> None:
    deltas = ask("Hello  there,\nyou!")
    text = text_of(deltas)
    assert text.startswith(f"{LABEL} No model is configured")
    assert "--upstream" in text
    assert '"Hello there, you!"' in text
    assert [delta.text for delta in deltas[:2] if isinstance(delta, TextDelta)] == ["[offline ", "stand-in, "]
    finish = finish_of(deltas)
    assert finish.reason == "stop"
    assert finish.usage is not None
    assert finish.usage.completion_tokens == len(text) // 4
    assert finish.usage.prompt_tokens == len("Be kind." + "Hello  there,\nyou!") // 4
    assert ask("Hello  there,\nyou!") == deltas


def test_echo_shortens_and_mentions_images() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    text = text_of(ask([{"type": "text", "text": "x" * 5000}, image, image]))
    assert len(text) < 500
    assert "2 images" in text
    assert "nothing" in text_of(ask([]))


def test_no_messages() -> None:
    async def collect() -> list[Delta]:
        return [delta async for delta in OfflineModel().stream(ChatRequest(model="m", messages=[]))]

    assert finish_of(asyncio.run(collect())).reason == "stop"


@pytest.mark.parametrize("limit", [0, 1, 7])
def test_max_completion_tokens(limit: int) -> None:
    deltas = ask("Hello", max_completion_tokens=limit)
    assert len(deltas) == limit + 1
    finish = finish_of(deltas)
    assert finish.reason == "length"
    assert finish.usage is not None
    assert finish.usage.completion_tokens <= limit


def test_limit_that_is_just_enough() -> None:
    pieces = len(ask("Hello")) - 1
    assert finish_of(ask("Hello", max_completion_tokens=pieces)).reason == "stop"
    assert finish_of(ask("get_time in Rome", TIME, max_completion_tokens=1)).reason == "length"


def test_models() -> None:
    async def models() -> list[JSON]:
        model: ChatModel = OfflineModel()
        found = await model.list_models(None)
        await model.aclose()
        return found

    assert [model["object"] for model in asyncio.run(models())] == ["model"]
    assert OfflineModel.backend == "offline"


# Functions


@pytest.mark.parametrize("text", ["use get_weather in Paris", "Get Weather for Paris!", "please get-weather at Paris"])
def test_function_named_in_the_text(text: str) -> None:
    deltas = ask(text, WEATHER, TIME)
    assert calls_of(deltas) == [("get_weather", {"city": "Paris", "unit": "celsius"})]
    assert finish_of(deltas).reason == "tool_calls"


def test_function_needs_whole_words() -> None:
    assert text_of(ask("forget_weather, get_weathers", WEATHER))


def test_longest_function_name_wins() -> None:
    assert calls_of(ask("get weather forecast for 3 days", WEATHER, FORECAST)) == [
        ("get_weather_forecast", {"days": 3})
    ]


def test_parallel_calls_take_their_own_words() -> None:
    text = "get_time in Rome, then get_weather in Oslo in fahrenheit"
    calls = [("get_time", {"city": "Rome"}), ("get_weather", {"city": "Oslo", "unit": "fahrenheit"})]
    assert calls_of(ask(text, WEATHER, TIME)) == calls
    assert calls_of(ask(text, WEATHER, TIME, parallel_tool_calls=False)) == calls[:1]
    shared = [("get_weather", {"city": "Oslo", "unit": "celsius"}), ("get_time", {"city": "Oslo"})]
    assert calls_of(ask("For Oslo: get_weather and get_time", WEATHER, TIME)) == shared


def test_forced_function() -> None:
    forced = {"type": "function", "function": {"name": "get_time"}}
    assert calls_of(ask("get_weather in Oslo", WEATHER, TIME, tool_choice=forced)) == [("get_time", {"city": "Oslo"})]
    assert calls_of(ask("Hello", WEATHER, TIME, tool_choice="required"))[0][0] == "get_weather"
    assert calls_of(ask("get_time", WEATHER, TIME, tool_choice="required"))[0][0] == "get_time"
    assert text_of(ask("get_time", WEATHER, TIME, tool_choice="none")).startswith(LABEL)


def test_function_without_or_with_a_broken_schema() -> None:
    for parameters in (None, {}, {"type": "object", "properties": 5}, {"properties": {"a": False}, "required": ["a"]}):
        function = {"type": "function", "function": {"name": "ping", "parameters": parameters}}
        assert calls_of(ask("ping", function)) == [("ping", {})]
    assert calls_of(ask("ping", {"type": "function", "function": {"name": "ping"}})) == [("ping", {})]


def test_function_outputs_are_reported() -> None:
    text = text_of(ask("get_weather", WEATHER, after=answered("get_weather", '{"temperature": 22}')))
    assert text == f'{LABEL} get_weather answered: {{"temperature": 22}}'


def test_several_outputs_are_reported() -> None:
    after = [*answered("get_weather", "sunny"), *answered("code_interpreter", "42"), *answered("get_time", "10:00")]
    text = text_of(ask("get_weather", WEATHER, TIME, CODE, after=after))
    for part in ("get_weather answered: sunny", "get_time answered: 10:00", "The code printed: 42"):
        assert part in text


def test_outputs_before_the_last_message_are_past() -> None:
    after = [*answered("get_weather", "sunny"), {"role": "user", "content": "Thanks"}]
    assert "sunny" not in text_of(ask("get_weather", WEATHER, after=after))


# JSON formats

CITY = {"type": "object", "properties": {"temperature": {"type": "number"}}, "required": ["temperature"]}
FORMAT = {"type": "json_schema", "json_schema": {"name": "city", "schema": CITY}}


def test_json_object() -> None:
    deltas = ask("Say hi in JSON", response_format={"type": "json_object"})
    assert "Say hi in JSON" in json.loads(text_of(deltas))["echo"]
    after = answered("get_time", "10:00")
    assert (
        "10:00"
        in json.loads(text_of(ask("get_time", TIME, after=after, response_format={"type": "json_object"})))["echo"]
    )


def test_json_schema() -> None:
    Draft202012Validator(CITY).validate(json.loads(text_of(ask("Hi", response_format=FORMAT))))
    after = answered("get_weather", '{"temperature": 22}')
    assert json.loads(text_of(ask("get_weather", WEATHER, after=after, response_format=FORMAT))) == {"temperature": 22}
    assert calls_of(ask("get_weather in Rome", WEATHER, response_format=FORMAT))


def test_json_schema_that_nothing_satisfies() -> None:
    never = {"type": "json_schema", "json_schema": {"name": "never", "schema": {"enum": []}}}
    assert text_of(ask("Hi", response_format=never)).startswith(LABEL)


# Code


def code_of(text: str, *files: str) -> str:
    ((name, arguments),) = calls_of(ask(text, CODE, WEATHER, code_files=files))
    assert name == "code_interpreter"
    return str(arguments["code"])


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Run\n```python\nprint('a')\nx = 1\n```\nplease", "print('a')\nx = 1\n"),
        ("```\nprint(1)\n```", "print(1)\n"),
        ("```print(1)```", "print(1)"),
        ("```py\r\nprint(1)\r\n```", "print(1)\r\n"),
        ("```python\nprint(1)", "print(1)"),
        ("what is 17*23", "print(17*23)\n"),
        ("12 * (3+4)", "print(12 * (3+4))\n"),
        ("(compute 2^10.)", "print(2**10)\n"),
        ("What is 10 - 3?", "print(10 - 3)\n"),
        ("1,000 × 3 apples", "print(1000 * 3)\n"),
        ("((1+2)*3)", "print(((1+2)*3))\n"),
    ],
)
def test_code_of_blocks_and_arithmetic(text: str, code: str) -> None:
    assert code_of(text) == code
    assert text_of(ask(text)).startswith(LABEL)


@pytest.mark.parametrize(
    "text",
    [
        "Hello",
        "on 2024-11-15, 24/7, 10-20, 555-1234",
        "C++ 3",
        "a paragraph",
        "```json\n{}\n```",
        "(" * 90_000,
        "what is 5",
    ],
)
def test_texts_that_ask_for_no_code(text: str) -> None:
    assert program(text, ()) is None
    assert text_of(ask(text, CODE)).startswith(LABEL)


def test_attached_file_is_not_arithmetic() -> None:
    assert "read_csv" in code_of("compare the 3+ months of 2023", "sales.csv")
    assert code_of("what is 2 + 3?", "sales.csv") == "print(2 + 3)\n"


def test_which_file_is_read() -> None:
    assert "'/mnt/data/b.tsv'" in code_of("Analyse", "a.csv", "b.tsv", "notes.pdf", "summary.csv")
    assert "'/mnt/data/a.csv'" in code_of("Analyse A.CSV", "a.csv", "b.tsv")
    assert "'/mnt/data/summary.csv'" in code_of("Analyse", "summary.csv")
    assert text_of(ask("Analyse", CODE, code_files=("notes.pdf",)))


def test_forced_code() -> None:
    forced = {"type": "function", "function": {"name": "code_interpreter"}}
    assert "iterdir" in calls_of(ask("Hello", CODE, tool_choice=forced))[0][1]["code"]
    assert "iterdir" in calls_of(ask("Hello", CODE, tool_choice="required"))[0][1]["code"]
    assert calls_of(ask("Hello", CODE, WEATHER, tool_choice="required"))[0][0] == "get_weather"
    assert text_of(ask("what is 2*3", CODE, tool_choice="none"))


# Files that are searched

RISKS = """Risk Factors
Three risk factors stood out in the fourth quarter. First, supply chain delays: gear hubs ran
five weeks late. Second, exchange rates."""
OUTLOOK = "Outlook\n\nThe annual meeting takes place on 14 June. Investment stays at 9 million euros."


def found(*passages: tuple[str, str]) -> str:
    results = [{"file_name": name, "content": [{"type": "text", "text": text}]} for name, text in passages]
    return citations.told({"queries": ["q"], "number": 2, "results": results})


def test_files_are_searched_with_the_users_words() -> None:
    question = "What were the key\nrisk factors?"
    stores: Any = {"vector_stores": ("vs_1",)}
    expected = [("file_search", {"query": "What were the key risk factors?"})]
    assert calls_of(ask(question, SEARCH, **stores)) == expected
    assert calls_of(ask(question, SEARCH, CODE, WEATHER, code_files=("a.pdf",), **stores)) == expected
    assert calls_of(ask(question, SEARCH, CODE, code_files=("a.csv",), **stores))[0][0] == "code_interpreter"
    assert calls_of(ask("get_weather in Oslo", SEARCH, WEATHER, **stores))[0][0] == "get_weather"
    assert calls_of(ask("Use the file search", SEARCH, **stores))[0][1] == {"query": "Use the file search"}
    assert text_of(ask(question, SEARCH)).startswith(f"{LABEL} No model")
    assert text_of(ask(question, SEARCH, tool_choice="none", **stores)).startswith(f"{LABEL} No model")
    assert text_of(ask(" ", SEARCH, **stores))


def test_forced_search() -> None:
    forced = {"type": "function", "function": {"name": "file_search"}}
    assert calls_of(ask("Hello", SEARCH, CODE, tool_choice=forced)) == [("file_search", {"query": "Hello"})]
    assert calls_of(ask("Hello", SEARCH, tool_choice="required"))[0][0] == "file_search"


def test_the_best_passage_is_quoted_with_its_mark() -> None:
    output = found(("q4.pdf", RISKS), ("q4.pdf", OUTLOOK))
    text = text_of(ask("What were the key risk factors?", SEARCH, after=answered("file_search", output)))
    assert text.startswith(LABEL)
    assert '"Risk Factors Three risk factors stood out in the fourth quarter. First, supply chain delays: gear' in text
    assert text.endswith('Second, exchange rates." 【2:0†q4.pdf】')
    when = "When is the annual meeting?"
    text = text_of(ask(when, SEARCH, after=answered("file_search", found(("a b.pdf", OUTLOOK), ("q4.pdf", RISKS)))))
    assert 'in a b.pdf: "The annual meeting takes place on 14 June. Investment' in text
    assert "【2:1" not in text


def test_long_and_odd_passages() -> None:
    for passage in ("word " * 30_000, "x" * 100_000, "\n\n", "- a\n- b", ".\n" * 50_000):
        after = answered("file_search", found(("a.txt", passage)))
        text = text_of(ask("word", SEARCH, after=after))
        assert text.endswith("【2:0†a.txt】")
        assert len(text) < 600


def test_nothing_found() -> None:
    text = text_of(ask("Who?", SEARCH, after=answered("file_search", citations.NOTHING_FOUND)))
    assert "found nothing" in text
    assert "【" not in text


# The programs run, in a process that does what a kernel does: what `plt.show()` shows is an image

KERNEL = """
import contextlib, io, json, sys, traceback, warnings
import matplotlib.pyplot as plt

def show():
    for number in plt.get_fignums():
        figure = plt.figure(number)
        figure.canvas.draw()
        axes = figure.axes[0]
        print("title:", axes.get_title(), "| x:", axes.get_xlabel(), "| y:", axes.get_ylabel())
        print("[image 1 displayed]")
    plt.close("all")

plt.show = show
warnings.simplefilter("always")
for line in sys.stdin:
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        try:
            exec(json.loads(line), {})
        except Exception:
            traceback.print_exc()
    print(json.dumps(output.getvalue()), flush=True)
"""

Run = Callable[..., str]


@pytest.fixture(scope="module")
def kernel() -> Iterator[Callable[[str], str]]:
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", KERNEL], env={**os.environ, "MPLBACKEND": "Agg"}, **pipes) as child:

        def execute(code: str) -> str:
            assert child.stdin is not None
            assert child.stdout is not None
            child.stdin.write(json.dumps(code) + "\n")
            child.stdin.flush()
            return str(json.loads(child.stdout.readline()))

        yield execute


@pytest.fixture
def run(tmp_path: Path, kernel: Callable[[str], str]) -> Run:
    """Runs what the model writes for a text and its files, with `tmp_path` as /mnt/data."""

    def run_program(text: str, *files: str) -> str:
        output = kernel(code_of(text, *files).replace("/mnt/data", str(tmp_path)))
        assert "Warning" not in output
        assert "Traceback" not in output
        return output.replace(str(tmp_path), "/mnt/data")

    return run_program


def write(folder: Path, name: str, content: str) -> str:
    (folder / name).write_text(content, encoding="utf-8")
    return name


def test_tutorial_analysis(tmp_path: Path, run: Run) -> None:
    output = run(ANALYSE, write(tmp_path, "sales.csv", SALES))
    assert output.splitlines() == [
        "shape: 5 rows x 3 columns",
        "columns: month, revenue, users",
        "total revenue: 78000 (mean 15600)",
        "best revenue: May (22000)",
        "worst revenue: Mar (11000)",
        "total users: 2170 (mean 434)",
        "best users: May (610)",
        "worst users: Mar (290)",
    ]
    text = text_of(ask(ANALYSE, CODE, after=answered("code_interpreter", output)))
    first, *_ = text.split("\n")
    assert first == (
        f"{LABEL} The analysis says: best revenue: May (22000); worst revenue: Mar (11000); "
        "best users: May (610); worst users: Mar (290)."
    )
    assert "total revenue: 78000" in text


def test_tutorial_chart(tmp_path: Path, run: Run) -> None:
    output = run(PLOT, write(tmp_path, "sales.csv", SALES))
    assert output.count("[image ") == 1
    assert "title: revenue by month | x: month | y: revenue" in output
    text = text_of(ask(PLOT, CODE, after=answered("code_interpreter", output)))
    assert "trend revenue: Jan 12000 to May 22000, +83.3%" in text
    assert "A chart was drawn." in text
    assert "displayed]" not in text


@pytest.mark.parametrize("text", ["Create a chart of sales by region", "histogram please", "bar graph over time"])
def test_other_charts(tmp_path: Path, run: Run, text: str) -> None:
    content = "region,Sales $,cost $\n" + "".join(f"r$ {n} $,{n * 3 % 17},{n}\n" for n in range(60))
    output = run(text, write(tmp_path, "sales.csv", content))
    assert output.count("[image ") == 1
    assert "title: Sales $, cost $" in output


def test_saved_summary(tmp_path: Path, run: Run) -> None:
    text = "Analyse this, draw a chart and save the result as a file"
    output = run(text, write(tmp_path, "sales.csv", SALES))
    assert "saved: sandbox:/mnt/data/summary.csv" in output
    assert (tmp_path / "summary.csv").read_text() == SUMMARY
    report = text_of(ask(text, CODE, after=answered("code_interpreter", output)))
    assert report.count("sandbox:") == 1
    assert "[summary.csv](sandbox:/mnt/data/summary.csv)" in report


@pytest.mark.parametrize(
    ("name", "content", "lines"),
    [
        ("words.csv", "name,town\nAnn,Oslo\nBob,Rome\n", ["shape: 2 rows x 2 columns", "no numeric columns"]),
        ("empty.csv", "", ["shape: 0 rows x 0 columns", "columns: none", "no rows"]),
        ("header.csv", "a,b\n", ["shape: 0 rows x 2 columns", "no rows"]),
        ("blank.csv", "\n\n", ["no rows"]),
        ("nan.csv", "m,x,y\na,1,\n,3,\nc,,\n", ["best x: nan (3)", "worst x: a (1)", "missing x: 1 of 3 rows"]),
        ("sales 'q' ü\".csv", SALES, ["best revenue: May (22000)"]),
        ("semi.csv", "Monat;Umsatz (€);Menge\nJän;1,5;1.5\nFeb;2,25;0.5\n", ["best Umsatz (€): Feb (2.25)"]),
        ("dots.csv", "m;x\na;1.5\nb;2.25\n", ["best x: b (2.25)"]),
        ("sales.tsv", SALES.replace(",", "\t"), ["best users: May (610)"]),
        ("money.csv", 'm,x\na,"$1,200"\nb,$900\n', ["best x: a (1200)", "worst x: b (900)"]),
        ("bare.csv", "1.5,2\n3,4\n", ["shape: 1 rows x 2 columns", "best 1.5: row 1 (3)"]),
        ("years.csv", "year,x\n2023,5\n2024,7\n", ["best x: 2024 (7)"]),
        ("index.csv", ",name,x\n0,Ann,5\n1,Bob,7\n", ["best x: Bob (7)"]),
        ("one.csv", "x\n5\n7\n", ["best x: row 2 (7)"]),
        ("names.csv", 'the "label",{a}: b,c%\n"x, \'y\'",1,2\nÅ,3,-4\n', ["best {a}: b: Å (3)", "worst c%: Å (-4)"]),
        ("trailing.csv", "m,x\na,1,\nb,2,\n", ["best x: b (2)"]),
        ("bom.csv", "\ufeffm,x\na,1\n", ["columns: m, x"]),
        ("rows.json", '[{"m": "a", "x": 1}, {"m": "b", "x": 2}]', ["best x: b (2)"]),
        ("one.json", '{"m": "a", "x": 1}', ["best x: a (1)"]),
        ("inside.json", '{"rows": [{"m": "a", "x": 1}, {"m": "b", "x": 2}]}', ["best x: b (2)"]),
        ("inf.csv", "m,x\na,inf\nb,1\n", ["best x: a (inf)"]),
    ],
)
def test_unusual_tables(tmp_path: Path, run: Run, name: str, content: str, lines: list[str]) -> None:
    output = run("Analyse, with trends", write(tmp_path, name, content)).splitlines()
    assert set(lines) <= set(output), output


def test_nothing_to_draw(tmp_path: Path, run: Run) -> None:
    output = run(PLOT, write(tmp_path, "words.csv", "name,town\nAnn,Oslo\n"))
    assert "nothing to draw: no numeric columns" in output
    assert "[image" not in output


def test_excel(tmp_path: Path, kernel: Callable[[str], str], run: Run) -> None:
    table = "pd.DataFrame({'day': pd.to_datetime(['2026-01-01', '2026-01-02']), 'x': [1, 2]})"
    assert kernel(f"import pandas as pd\n{table}.to_excel({str(tmp_path / 'days.xlsx')!r}, index=False)") == ""
    assert "best x: 2026-01-02 (2)" in run("Analyse", "days.xlsx")


def test_chart_without_a_file(tmp_path: Path, run: Run) -> None:
    text = "Analyze this CSV and create a chart of sales by month"
    output = run(text)
    assert output.startswith("files in /mnt/data: none\n")
    assert "No data file" in text_of(ask(text, CODE, after=answered("code_interpreter", output)))


# Reports of code


@pytest.mark.parametrize(
    "output",
    [
        'some output\nTraceback (most recent call last):\n  File "x.py", line 1\nZeroDivisionError: division by zero\n',
        "\x1b[1mZeroDivisionError\x1b[m Traceback (most recent call last)\nZeroDivisionError: \x1b[0mdivision by zero",
        "  Cell In[3], line 1\n    1 +\n       ^\nZeroDivisionError: division by zero\n",
    ],
)
def test_failed_code_is_reported(output: str) -> None:
    text = text_of(ask("run it", CODE, after=answered("code_interpreter", output)))
    assert text == f"{LABEL} I ran Python code and it failed: ZeroDivisionError: division by zero"


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("(no output)", "I ran Python code; it printed nothing."),
        ("391\n", "The code printed: 391"),
        ("[image 1 displayed]", "A chart was drawn."),
        ("[image 1 displayed]\n[image 2 displayed]", "2 charts were drawn."),
        ("a\nb\n", "The code printed:\n\n```\na\nb\n```"),
    ],
)
def test_other_reports(output: str, said: str) -> None:
    assert text_of(ask("run it", CODE, after=answered("code_interpreter", output))) == f"{LABEL} {said}"


def test_files_that_own_code_writes_are_named() -> None:
    code = "open('/mnt/data/in.csv'); open('/mnt/data/out.txt', 'w').write('x')"
    after = answered("code_interpreter", "(no output)", {"code": code})
    text = text_of(ask("run it", CODE, after=after, code_files=("in.csv",)))
    assert text == f"{LABEL} Saved: [out.txt](sandbox:/mnt/data/out.txt)"
