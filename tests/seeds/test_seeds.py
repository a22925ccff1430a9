"""The tutorials' programs, each in a process of its own with nothing but the two variables set.

000 and 001 are one program; 004 has none: it is prose.
"""

import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from openai import OpenAI

from tests.scripted_upstream import Reply, ScriptedUpstream
from tests.server_process import ServerProcess

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(__file__).parent / "programs"
SALES = "month,revenue,users\nJan,12000,340\nFeb,15000,410\nMar,11000,290\nApr,18000,520\nMay,22000,610\n"
CLIENTS = {"1.55.3": str(ROOT / ".clients/openai-1.55.3/bin/python"), version("openai"): sys.executable}

REPORT = (
    (
        "Report on the Fourth Quarter",
        "Revenue rose to 61.4 million euros, nine percent more than a year before.",
        "The annual meeting takes place on 14 June in Ghent.",
    ),
    (
        "Risk Factors",
        "The key risk factors of the quarter were supply chain delays of five weeks,",
        "exchange rates, and new rules for the transport of batteries.",
    ),
)
RISKS = "The key risk factors of the quarter were supply chain delays of five weeks, exchange rates"
CITED = "【0:0†q4_report.pdf】"

LABEL = "[offline stand-in, no model]"
BEST_AND_WORST = "best revenue: May (22000); worst revenue: Mar (11000)"

READ = 'import pandas as pd\n\nsales = pd.read_csv("/mnt/data/{name}").set_index("month").revenue\n'
COMPARE = 'print(f"best {sales.idxmax()}, worst {sales.idxmin()}")\n'
DRAW = "import matplotlib.pyplot as plt\n\nsales.plot()\nplt.show()\n"

Start = Callable[..., ServerProcess]
Play = Callable[[str, ServerProcess], str]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts the test's own server: the names of the tutorials' models lead to its script."""
    started = []

    def start(*flags: str) -> ServerProcess:
        started.append(ServerProcess(tmp_path / "data", *flags))
        return started[-1]

    yield start
    for server in started:
        assert server.stop() == 0, server.log()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A PDF as programs make them."""
    from matplotlib.backends.backend_pdf import PdfPages
    from matplotlib.figure import Figure

    path = tmp_path_factory.mktemp("report") / "q4_report.pdf"
    with PdfPages(path) as pages:
        for lines in REPORT:
            figure = Figure()
            figure.text(0.1, 0.5, "\n".join(lines))
            pages.savefig(figure)
    return path.read_bytes()


@pytest.fixture(params=CLIENTS)
def play(request: pytest.FixtureRequest, tmp_path: Path, report: bytes) -> Play:
    """Runs a program with one of the clients; what it printed."""
    wanted, python = request.param, CLIENTS[request.param]
    if not Path(python).exists():
        pytest.fail(f"no environment with openai {wanted}: make .clients/openai-{wanted}/.installed")
    (tmp_path / "sales_data.csv").write_text(SALES)
    (tmp_path / "q4_report.pdf").write_bytes(report)

    def play(program: str, server: ServerProcess) -> str:
        done = subprocess.run(
            [python, PROGRAMS / program],
            cwd=tmp_path,
            env={"OPENAI_BASE_URL": server.url, "OPENAI_API_KEY": "sk-test"},
            capture_output=True,
            encoding="utf-8",
            timeout=60,
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{server.log()}"
        assert "Traceback" not in server.log()
        return done.stdout

    return play


def code(*parts: str) -> Reply:
    return Reply(calls=[("code_interpreter", {"code": "\n".join(parts)})])


def reported(body: dict[str, Any]) -> Reply:
    """An answer that says what the code, or the function, answered."""
    return Reply(f"It says: {body['messages'][-1]['content'].strip()}")


def risks_found(body: dict[str, Any]) -> Reply:
    """An answer that cites the passage, which is there."""
    assert RISKS in " ".join(body["messages"][-1]["content"].split())
    return Reply(f"The report names three{CITED}.")


def charts(server: ServerProcess) -> list[bytes]:
    """The images that the code drew."""
    with OpenAI(base_url=server.url, api_key="sk-test") as client:
        return [client.files.content(file.id).read() for file in client.files.list(purpose="assistants_output")]


def is_chart(content: bytes) -> bool:
    return content.startswith(b"\x89PNG") and len(content) > 5_000


def test_001_offline(play: Play, offline_server: ServerProcess) -> None:
    before = len(charts(offline_server))
    printed = play("tutorial_001.py", offline_server)
    first, second, streamed, searched = printed.split(LABEL)[1:]
    assert BEST_AND_WORST in first
    assert "trend revenue: Jan 12000 to May 22000, +83.3%" in second
    assert "A chart was drawn." in second
    assert BEST_AND_WORST in streamed
    assert "The annual meeting takes place on 14 June in Ghent." in searched
    assert searched.endswith(CITED)
    drawn = charts(offline_server)
    assert all(map(is_chart, drawn))
    assert len(drawn) == before + 2  # the streamed run answers the question about the plot again


def test_001_with_a_model(play: Play, start: Start, upstream: ScriptedUpstream) -> None:
    script = upstream.script(
        code(READ.format(name="sales.csv"), COMPARE),
        reported,
        code(DRAW),  # `sales` is there from the first run
        Reply("Revenue rises from January to May."),
        Reply(pieces=["Ask ", "me ", "more."]),
        Reply(calls=[("file_search", {"query": "annual meeting"})]),
        Reply(pieces=["On 14 June", "【0:0", "†q4_report.pdf】."]),
    )
    server = start("--upstream", upstream.url, "--models", f"gpt-4.1={script}")
    printed = play("tutorial_001.py", server)
    assert printed.endswith(
        f"It says: best May, worst Mar\nRevenue rises from January to May.\nAsk me more.On 14 June{CITED}."
    )
    assert [is_chart(chart) for chart in charts(server)] == [True]


def test_002_offline(play: Play, offline_server: ServerProcess) -> None:
    printed = play("tutorial_002.py", offline_server)
    without_file, newest, again = printed.split(LABEL)[1:]
    assert "No data file" in without_file
    assert BEST_AND_WORST in newest
    assert again == f"{without_file}unsupported_file\n"  # the program lists the whole thread at its end


def test_002_with_a_model(play: Play, start: Start, upstream: ScriptedUpstream) -> None:
    script = upstream.script(
        code("import os\n\nprint('files:', os.listdir('/mnt/data'))"),
        reported,
        code(READ.format(name="sales_data.csv"), COMPARE),
        reported,
    )
    server = start("--upstream", upstream.url, "--models", f"gpt-4-turbo={script}")
    printed = play("tutorial_002.py", server)
    assert printed.splitlines() == [
        *("It says: files: []", "It says: best May, worst Mar", "It says: files: []"),
        "unsupported_file",
    ]


def test_003_offline(play: Play, offline_server: ServerProcess, tmp_path: Path) -> None:
    printed = play("tutorial_003.py", offline_server)
    searched, answered, analysed = printed.split(LABEL)[1:]
    assert RISKS in searched
    assert searched.strip().endswith(CITED)
    result = '{"function": "risk_factors", "arguments": {"quarter": "Q4"}, "answer": "supply chain, exchange rates"}'
    assert f"risk_factors answered: {result}" in answered
    assert "import pandas as pd" in answered  # the code is printed before the last answer
    assert BEST_AND_WORST in analysed
    assert is_chart((tmp_path / "chart.png").read_bytes())


def test_003_with_a_model(play: Play, start: Start, upstream: ScriptedUpstream, tmp_path: Path) -> None:
    script = upstream.script(
        Reply(calls=[("file_search", {"query": "key risk factors in the Q4 report"})]),
        risks_found,
        Reply(calls=[("risk_factors", {"quarter": "Q4"})]),
        reported,
        code(READ.format(name="sales_data.csv"), COMPARE, DRAW),
        reported,
    )
    server = start("--upstream", upstream.url, "--models", f"gpt-4o={script}")
    printed = play("tutorial_003.py", server)
    lines = printed.splitlines()
    assert lines[0] == f"The report names three{CITED}."
    assert '"arguments": {"quarter": "Q4"}, "answer": "supply chain, exchange rates"' in lines[1]
    assert "import pandas as pd" in lines
    assert "It says: best May, worst Mar" in lines
    assert is_chart((tmp_path / "chart.png").read_bytes())
