"""Fifty cells of real data work on one thread through the API: files in, state, figures, models, documents out."""

import io
import sys
import zipfile
from dataclasses import dataclass
from typing import Any

import pytest
from openai import OpenAI
from pypdf import PdfReader

from tests.runs.streams import CODE, assistant_with
from tests.scripted_upstream import Reply, ScriptedUpstream

REGIONS = ("north", "south", "west")
SALES = "date,region,units,revenue\n" + "".join(
    f"2025-{month:02}-01,{region},{10 * month + 3 * place},{250 * month + 1000 * place + month * place}.5\n"
    for month in range(1, 13)
    for place, region in enumerate(REGIONS)
)
PNG, ZIP = b"\x89PNG\r\n\x1a\n", b"PK\x03\x04"


@dataclass(frozen=True)
class Cell:
    """Code, what its text must have in it, and how many images it shows."""

    code: str
    says: str = ""
    images: int = 0


@dataclass(frozen=True)
class Turn:
    """A user's message, the cells that answer it, and the files that the answer links to."""

    asked: str
    cells: tuple[Cell, ...]
    files: tuple[str, ...] = ()


LOOK = Turn(
    "What is in the file?",
    (
        Cell(
            "import pandas as pd\nsales = pd.read_csv('/mnt/data/sales.csv', parse_dates=['date'])\nsales.shape",
            "36, 4",
        ),
        Cell("sales.head(3)", "2025-01-01  north     10    250.5"),
        Cell("sales.info()", "36 non-null"),
        Cell("print(sales.describe().round(1))", "mean"),
        Cell("sales.groupby('region')['units'].sum()", "north    780"),
    ),
)
EXCEL = Turn(
    "Make Excel workbooks of it.",
    (
        Cell(
            "costs = pd.DataFrame({'region': ['north', 'south', 'west'], 'cost': [100, 200, 300]})\n"
            "with pd.ExcelWriter('/mnt/data/costs.xlsx') as book:\n"
            "    costs.to_excel(book, sheet_name='costs', index=False)\n"
            "    sales.to_excel(book, sheet_name='sales', index=False)"
        ),
        Cell(
            "import openpyxl\nfrom openpyxl.styles import Font\n"
            "book = openpyxl.load_workbook('costs.xlsx')\nsheet = book['costs']\n"
            "for cell in sheet[1]: cell.font = Font(bold=True)\n"
            "sheet['B5'] = '=SUM(B2:B4)'\nbook.save('costs.xlsx')\nprint(sheet.max_row, book.sheetnames)",
            "5 ['costs', 'sales']",
        ),
        Cell(
            "import xlsxwriter\nwith xlsxwriter.Workbook('/mnt/data/chart.xlsx') as book:\n"
            "    sheet = book.add_worksheet('year')\n"
            "    sheet.write_column('A1', sales.groupby('date')['revenue'].sum())\n"
            "    chart = book.add_chart({'type': 'line'})\n    chart.add_series({'values': '=year!$A$1:$A$12'})\n"
            "    sheet.insert_chart('C2', chart)"
        ),
        Cell(
            "{name: len(sheet) for name, sheet in pd.read_excel('costs.xlsx', sheet_name=None).items()}", "'sales': 36"
        ),
        Cell("pd.ExcelFile('/mnt/data/chart.xlsx').sheet_names", "['year']"),
    ),
    ("costs.xlsx", "chart.xlsx"),
)
MERGE = Turn(
    "Compare with the attached budget.",
    (
        Cell("budget = pd.read_excel('/mnt/data/budget.xlsx', sheet_name='costs').dropna()\nlen(budget)", "3"),
        Cell(
            "merged = sales.merge(budget, on='region')\n(merged['revenue'] - merged['cost']).sum().round(2)", "87552.0"
        ),
        Cell(
            "sales.pivot_table(index=sales['date'].dt.quarter, columns='region', values='units', aggfunc='sum')", "west"
        ),
        Cell("sales.set_index('date')['units'].resample('QS').sum()", "2025-10-01    1017"),
        Cell("merged.to_csv('/mnt/data/merged.csv', index=False)\nprint(merged.isna().sum().sum())", "0"),
    ),
    ("merged.csv",),
)
PLOTS = Turn(
    "Plot it.",
    (
        Cell(
            "import matplotlib.pyplot as plt\nfor region, rows in sales.groupby('region'):\n"
            "    plt.plot(rows['date'], rows['revenue'], label=region)\nplt.legend()\nplt.show()",
            images=1,
        ),
        Cell(
            "sales['units'].plot.hist()\nplt.show()\nprint('between')\n"
            "sales.plot.scatter('units', 'revenue')\nplt.show()",
            "between",
            images=2,
        ),
        Cell(
            "fig, axes = plt.subplots(2, 2, figsize=(8, 6))\naxes[0, 0].bar(costs['region'], costs['cost'])\n"
            "axes[1, 1].pie(costs['cost'])\nplt.tight_layout()\nfig",
            images=1,
        ),
        Cell(
            "sales.groupby('date')['revenue'].sum().plot(title='Trend')\n"
            "plt.savefig('/mnt/data/trend.png', dpi=80)\nplt.show()",
            images=1,
        ),
        Cell("import seaborn as sns\nsns.heatmap(sales[['units', 'revenue']].corr(), annot=True)", "<Axes", images=1),
    ),
    ("trend.png",),
)
PICTURES = Turn(
    "More pictures.",
    (
        Cell("sns.boxplot(sales, x='region', y='revenue')\nplt.show()", images=1),
        Cell("grid = sns.pairplot(sales[['units', 'revenue', 'region']], hue='region')", images=1),
        Cell("from PIL import Image, ImageDraw\nim = Image.open('/mnt/data/trend.png')\nim.resize((60, 40))", images=1),
        Cell(
            "ImageDraw.Draw(im).text((5, 5), 'draft', fill='red')\nim.convert('RGB').save('trend.jpg')\nprint(im.mode)",
            "RGB",
        ),
        Cell("fig, ax = plt.subplots()\nax.plot([1, 2])\nplt.show()\nfig", images=1),
    ),
)
MODELS = Turn(
    "Fit models.",
    (
        Cell(
            "from sklearn.linear_model import LinearRegression\nX, y = sales[['units']], sales['revenue']\n"
            "line = LinearRegression().fit(X, y)\nprint(f'{line.score(X, y):.3f}')",
            "0.597",
        ),
        Cell(
            "from sklearn.datasets import load_iris\nfrom sklearn.ensemble import RandomForestClassifier\n"
            "from sklearn.model_selection import train_test_split\n"
            "Xs, Xt, ys, yt = train_test_split(*load_iris(return_X_y=True), random_state=1)\n"
            "forest = RandomForestClassifier(20, random_state=1, n_jobs=2).fit(Xs, ys)\nforest.score(Xt, yt) > 0.9",
            "True",
        ),
        Cell(
            "from sklearn.metrics import ConfusionMatrixDisplay, classification_report\n"
            "print(classification_report(yt, forest.predict(Xt)))",
            "accuracy",
        ),
        Cell("ConfusionMatrixDisplay.from_estimator(forest, Xt, yt)\nplt.show()", images=1),
        Cell(
            "from sklearn.cluster import KMeans\nfrom sklearn.decomposition import PCA\n"
            "from sklearn.pipeline import make_pipeline\nfrom sklearn.preprocessing import StandardScaler\n"
            "groups = make_pipeline(StandardScaler(), PCA(2), KMeans(3, n_init=1, random_state=1)).fit_predict(Xs)\n"
            "set(groups.tolist())",
            "{0, 1, 2}",
        ),
    ),
)
MATHS = Turn(
    "Check the statistics.",
    (
        Cell("import statsmodels.formula.api as smf\nsmf.ols('revenue ~ units', sales).fit().summary()", "R-squared"),
        Cell(
            "from scipy import optimize, stats\n"
            "a, b = (sales.loc[sales['region'] == name, 'revenue'] for name in ('north', 'west'))\n"
            "print(stats.ttest_ind(a, b).pvalue < 0.05)",
            "True",
        ),
        Cell(
            "import numpy as np\nx = np.linspace(0, 4, 50)\n"
            "(k, c), _ = optimize.curve_fit(lambda x, k, c: c * np.exp(k * x), x, 3 * np.exp(0.5 * x))\n"
            "print(round(k, 3), round(c, 3))",
            "0.5 3.0",
        ),
        Cell(
            "import sympy as sp\nt = sp.symbols('t')\nprint(sp.solve(t**2 - 5*t + 6, t))\n"
            "sp.integrate(sp.exp(-t**2), (t, -sp.oo, sp.oo))",
            "[2, 3]\nsqrt(pi)",
        ),
        Cell(
            "import networkx as nx\nG = nx.Graph([('a', 'b'), ('b', 'c'), ('c', 'd'), ('a', 'd')])\n"
            "print(nx.shortest_path_length(G, 'a', 'c'))\nnx.draw_circular(G, with_labels=True)\nplt.show()",
            "2",
            images=1,
        ),
    ),
)
DOCUMENTS = Turn(
    "Write the report.",
    (
        Cell(
            "from reportlab.lib.pagesizes import A4\nfrom reportlab.lib.styles import getSampleStyleSheet\n"
            "from reportlab.platypus import Image as Picture, Paragraph, SimpleDocTemplate, Table\n"
            "styles = getSampleStyleSheet()\n"
            "rows = [['region', 'revenue'], *sales.groupby('region')['revenue'].sum().reset_index().values.tolist()]\n"
            "SimpleDocTemplate('/mnt/data/report.pdf', pagesize=A4).build([\n"
            "    Paragraph('Annual report', styles['Title']), Table(rows), Picture('/mnt/data/trend.png', 400, 300)])"
        ),
        Cell(
            "from pypdf import PdfReader\nreport = PdfReader('/mnt/data/report.pdf')\n"
            "print(len(report.pages), report.pages[0].extract_text().splitlines()[0])",
            "1 Annual report",
        ),
        Cell(
            "from docx import Document\nletter = Document()\nletter.add_heading('Dear reader', 1)\n"
            "letter.add_table(rows=2, cols=2).cell(0, 0).text = 'north'\nletter.add_picture('trend.png')\n"
            "letter.save('/mnt/data/letter.docx')"
        ),
        Cell(
            "from pptx import Presentation\nfrom pptx.util import Inches\ndeck = Presentation()\n"
            "slide = deck.slides.add_slide(deck.slide_layouts[5])\nslide.shapes.title.text = 'Results of the year'\n"
            "slide.shapes.add_picture('trend.png', Inches(1), Inches(2))\ndeck.save('/mnt/data/deck.pptx')"
        ),
        Cell(
            "from fpdf import FPDF\nimport pdfplumber\nnote = FPDF()\nnote.add_page()\n"
            "note.set_font('Helvetica', size=12)\nnote.cell(text='A note')\nnote.output('/mnt/data/note.pdf')\n"
            "print(pdfplumber.open('/mnt/data/note.pdf').pages[0].extract_text())",
            "A note",
        ),
    ),
    ("report.pdf", "letter.docx", "deck.pptx", "note.pdf"),
)
TEXTS = Turn(
    "And the web page.",
    (
        Cell(
            "from bs4 import BeautifulSoup\npage = '<table><tr><th>a<th>b<tr><td>1<td>2</table>'\n"
            "print([cell.text for cell in BeautifulSoup(page, 'lxml').find_all('td')])",
            "['1', '2']",
        ),
        Cell("import io\nprint(pd.read_html(io.StringIO(page))[0].to_markdown(index=False))", "|   1 |   2 |"),
        Cell(
            "import plotly.express as px\nfig = px.bar(costs, x='region', y='cost', title='Costs')\n"
            "fig.write_html('/mnt/data/costs.html')\nfig.show()",
            "'Costs': bar (3 values)",
        ),
        Cell("sales['profit']", "KeyError: 'profit'"),
        Cell("print(len(sales), forest.n_estimators)", "36 20"),
    ),
    ("costs.html",),
)
SYSTEM = Turn(
    "Pack everything.",
    (
        Cell(
            "import sqlite3\nbase = sqlite3.connect('/mnt/data/sales.db')\nsales.to_sql('sales', base)\n"
            "base.execute('select region, max(units) from sales').fetchone()",
            "('west', 126)",
        ),
        Cell("!head -2 /mnt/data/merged.csv | cut -d, -f2", "region\nnorth"),
        Cell("%pip install xgboost", "There is no network here"),
        Cell(
            "import zipfile, pathlib\nwith zipfile.ZipFile('/mnt/data/all.zip', 'w') as bundle:\n"
            "    for path in sorted(pathlib.Path('/mnt/data').glob('*.*')):\n"
            "        if path.suffix in ('.pdf', '.docx', '.xlsx'): bundle.write(path, path.name)",
        ),
        Cell("print(zipfile.ZipFile('/mnt/data/all.zip').namelist())", "'report.pdf'"),
    ),
    ("all.zip",),
)
TURNS = (LOOK, EXCEL, MERGE, PLOTS, PICTURES, MODELS, MATHS, DOCUMENTS, TEXTS, SYSTEM)


def _replies(turn: Turn) -> list[Reply]:
    links = " and ".join(f"[{name}](sandbox:/mnt/data/{name})" for name in turn.files)
    return [*(Reply(calls=[("code_interpreter", {"code": cell.code})]) for cell in turn.cells), Reply(f"Done. {links}")]


class Thread:
    """One thread, and what its runs gave."""

    def __init__(self, client: OpenAI, upstream: ScriptedUpstream) -> None:
        self.client = client
        replies = [reply for turn in TURNS for reply in _replies(turn)]
        self.assistant = assistant_with(client, upstream.script(*replies), [CODE])
        self.id = client.beta.threads.create().id

    def play(self, turn: Turn, *uploads: tuple[str, bytes]) -> dict[str, bytes]:
        """Ask, check every cell, and download what the answer links to."""
        ids = [self.client.files.create(file=upload, purpose="assistants").id for upload in uploads]
        attachments: Any = [{"file_id": file_id, "tools": [CODE]} for file_id in ids]
        self.client.beta.threads.messages.create(self.id, role="user", content=turn.asked, attachments=attachments)
        run = self.client.beta.threads.runs.create_and_poll(
            thread_id=self.id, assistant_id=self.assistant, poll_interval_ms=100
        )
        assert run.status == "completed", run.last_error
        steps: Any = self.client.beta.threads.runs.steps.list(run.id, thread_id=self.id, order="asc")
        calls = [call for step in steps if step.type == "tool_calls" for call in step.step_details.tool_calls]
        for cell, call in zip(turn.cells, calls, strict=True):
            self._check(cell, call.code_interpreter.outputs)
        return self._links(run.id, sum(cell.images for cell in turn.cells))

    def _check(self, cell: Cell, outputs: Any) -> None:
        text = "".join(output.logs for output in outputs if output.type == "logs")
        pictures = [output.image.file_id for output in outputs if output.type == "image"]
        assert cell.says in text, f"{cell.code}\n{text}"
        assert len(pictures) == cell.images, f"{cell.code}\n{text}"
        assert "Traceback" not in text or "Error" in cell.says, text
        assert "\x1b" not in text
        assert sys.prefix not in text
        for picture in pictures:
            assert self.client.files.retrieve(picture).purpose == "assistants_output"
            assert self.client.files.content(picture).read().startswith(PNG)

    def _links(self, run_id: str, images: int) -> dict[str, bytes]:
        (answer,) = self.client.beta.threads.messages.list(self.id, run_id=run_id).data
        *pictures, block = answer.content
        assert [picture.type for picture in pictures] == ["image_file"] * images
        assert block.type == "text"
        files = {}
        for annotation in block.text.annotations:
            assert annotation.type == "file_path"
            name = annotation.text.removeprefix("sandbox:/mnt/data/")
            files[name] = self.client.files.content(annotation.file_path.file_id).read()
        return files


def _packed(content: bytes, member: str) -> str:
    assert content.startswith(ZIP)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return archive.read(member).decode()


@pytest.fixture
def thread(client: OpenAI, upstream: ScriptedUpstream) -> Thread:
    return Thread(client, upstream)


def test_fifty_cells(thread: Thread) -> None:
    assert sum(len(turn.cells) for turn in TURNS) == 50
    thread.play(LOOK, ("sales.csv", SALES.encode()))
    workbooks = thread.play(EXCEL)
    assert "SUM(B2:B4)" in _packed(workbooks["costs.xlsx"], "xl/worksheets/sheet1.xml")
    assert "lineChart" in _packed(workbooks["chart.xlsx"], "xl/charts/chart1.xml")
    merged = thread.play(MERGE, ("budget.xlsx", workbooks["costs.xlsx"]))
    assert merged["merged.csv"].splitlines()[:2] == [
        b"date,region,units,revenue,cost",
        b"2025-01-01,north,10,250.5,100",
    ]
    assert thread.play(PLOTS)["trend.png"].startswith(PNG)
    assert thread.play(PICTURES) == {}
    thread.play(MODELS)
    thread.play(MATHS)
    written = thread.play(DOCUMENTS)
    (page,) = PdfReader(io.BytesIO(written["report.pdf"])).pages
    assert page.extract_text().startswith("Annual report")
    assert len(page.images) == 1
    assert "Dear reader" in _packed(written["letter.docx"], "word/document.xml")
    assert "Results of the year" in _packed(written["deck.pptx"], "ppt/slides/slide1.xml")
    assert written["note.pdf"].startswith(b"%PDF-")
    assert b"plotly" in thread.play(TEXTS)["costs.html"]
    bundle = zipfile.ZipFile(io.BytesIO(thread.play(SYSTEM)["all.zip"]))
    assert bundle.read("report.pdf") == written["report.pdf"]
