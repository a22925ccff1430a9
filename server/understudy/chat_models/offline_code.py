"""The Python programs that the offline model writes for the code interpreter."""

import ast
import re
from collections.abc import Sequence

DATA_FILE = re.compile(r"(?i)\.(?:csv|tsv|xlsx|json)$")
SUMMARY_FILE = "summary.csv"

_CODE_BLOCK = re.compile(r"```(?:[ \t]*(\w*)[ \t]*\r?\n)?(.*?)(?:```|\Z)", re.DOTALL)
_PYTHON = {None, "", "py", "python", "python3", "ipython"}
_CHART = re.compile(
    r"(?i)\b(?:plot|chart|graph|diagram|histogram|visuali[sz])(?:e|es|ed|s|ted|ting|ing|ation|ations)?\b"
)
_SAVE = re.compile(r"(?i)\b(?:sav(?:e|ed|es|ing)|export\w*|download\w*)\b|\bwrit(?:e|ten|ing)\b.{0,99}\bfile\b")
_TREND = re.compile(r"(?i)\btrends?\b|\bover time\b|\bgr[eo]w\w*")
_IN_TIME = re.compile(r"\b(?:time|trends?|lines?|hour|day|week|month|quarter|year|date)(?:ly|s)?\b")
_CALCULATE = re.compile(r"(?i)\b(?:what is|what's|whats|how much is|calculate|compute|evaluate|solve|result of)\b")
_ARITHMETIC = re.compile(r"[\d.(+-][\d.()+*/%^×÷− -]*[\d.)]")
_DATE_OR_PHONE = re.compile(r"\d+(?:[-/]\d+){2,}")
_NODES = (ast.Expression, ast.BinOp, ast.UnaryOp, ast.Constant, ast.operator, ast.unaryop)

_LIST_FILES = """\
from pathlib import Path

files = sorted(path.name for path in Path("/mnt/data").iterdir())
print("files in /mnt/data:", ", ".join(files) or "none")
"""
_NO_DATA = (
    _LIST_FILES + 'print("No data file (.csv, .tsv, .xlsx or .json) is attached, so there is nothing to draw.")\n'
)

_READ_TEXT = """\
try:
    with open(path, encoding="utf-8-sig", errors="replace") as file:
        sample = file.read(4096)
    separator = max(",;\\t|", key=sample.partition("\\n")[0].count)
    decimal = "," if separator != "," and re.search(r"\\d,\\d{1,2}\\b", sample) else "."
    table = pd.read_csv(
        path,
        sep=separator,
        decimal=decimal,
        index_col=False,
        encoding="utf-8-sig",
        encoding_errors="replace",
        on_bad_lines="warn",
    )
except pd.errors.EmptyDataError:
    table = pd.DataFrame()
"""
_READ = {
    "csv": _READ_TEXT,
    "tsv": _READ_TEXT,
    "xlsx": "table = pd.read_excel(path)\n",
    "json": """\
try:
    table = pd.read_json(path).reset_index(drop=True)
except ValueError:  # one object, no table
    with open(path, encoding="utf-8-sig") as file:
        table = pd.json_normalize(json.load(file))
if table.shape[1] == 1 and table.map(lambda cell: isinstance(cell, dict)).all(axis=None):
    table = pd.json_normalize(table.iloc[:, 0].tolist())
""",
}

_SUMMARISE = """\
# $5, 12% and 1,200 are numbers too.
for name in table.select_dtypes(exclude="number"):
    text = table[name].dropna().astype(str).str.strip()
    if len(text) and text.str.fullmatch(r"-?[$€£]? ?-?(?:\\d+|\\d{1,3}(?:,\\d{3})+)(?:\\.\\d+)? ?[%$€£]?").all():
        table[name] = pd.to_numeric(text.str.replace(r"[^\\d.-]", "", regex=True))

# What is measured, and what names a row: the first column that is not a number.
numbers = table.select_dtypes("number")
names = r"(?i)\\s*(?:unnamed.*|index|id|.*_id|year|month|week|day|date)\\s*"
measures = [name for name in numbers if numbers[name].notna().any() and not re.fullmatch(names, str(name))]
labels = [name for name in table if name not in numbers] or [name for name in numbers if name not in measures]


def show(value):
    if not pd.api.types.is_number(value):
        return " ".join(str(value).split()).removesuffix(" 00:00:00")[:80]
    if float(value).is_integer():
        return f"{value:.0f}"
    return f"{value:.2f}" if abs(value) >= 100 else f"{value:.4g}"


label = show(labels[0]) if labels else "row"
rows = [show(value) for value in table[labels[0]]] if labels else [f"row {n + 1}" for n in range(len(table))]

print(f"shape: {len(table)} rows x {len(table.columns)} columns")
print("columns:", ", ".join(map(show, table.columns)) or "none")
summary = []
for name in measures:
    values = numbers[name]
    best, worst = values.idxmax(), values.idxmin()
    print(f"total {show(name)}: {show(values.sum())} (mean {show(values.mean())})")
    print(f"best {show(name)}: {rows[best]} ({show(values[best])})")
    print(f"worst {show(name)}: {rows[worst]} ({show(values[worst])})")
    if values.isna().any():
        print(f"missing {show(name)}: {values.isna().sum()} of {len(values)} rows")
    summary.append({"column": name, "total": values.sum(), "best": rows[best], "worst": rows[worst]})
if not measures:
    print("no numeric columns" if len(table) else "no rows")
"""

_TRENDS = """\
for name in measures:
    values = numbers[name].dropna()
    first, last = values.index[0], values.index[-1]
    change = f", {(values[last] / values[first] - 1) * 100:+.1f}%" if values[first] > 0 else ""
    print(f"trend {show(name)}: {rows[first]} {show(values[first])} to {rows[last]} {show(values[last])}{change}")
"""

_SAVE_SUMMARY = """\
pd.DataFrame(summary, columns=["column", "total", "best", "worst"]).to_csv("/mnt/data/{name}", index=False)
print("saved: sandbox:/mnt/data/{name}")
"""

_DRAW = """\
plt.rcParams["text.parse_math"] = False  # a $ in a name is a dollar
question = {question}
asked = [name for name in measures if re.search(rf"(?i)(?<!\\w){{re.escape(show(name))}}(?!\\w)", question)]
drawn = numbers[asked or measures[:8]].set_axis([row[:20] for row in rows]).rename(columns=show)
if measures:
    axes = drawn.plot({kind}, figsize=(8, 4.5))
    axes.set_title(", ".join(drawn) + {by})
    axes.set_xlabel({xlabel})
    axes.set_ylabel({ylabel})
    plt.tight_layout()
    plt.show()
else:
    print("nothing to draw: no numeric columns")
"""
_VALUES = {"by": 'f" by {label}"', "xlabel": "label", "ylabel": '", ".join(drawn)'}
_LINE = {"kind": 'kind="line", marker="o"', **_VALUES}
_BAR = {"kind": 'kind="bar" if len(drawn) <= 40 else "line", rot=45', **_VALUES}
_HISTOGRAM = {
    "kind": 'kind="hist", bins=20, alpha=0.7',
    "by": '": how often"',
    "xlabel": '", ".join(drawn)',
    "ylabel": '"rows"',
}


def program(text: str, files: Sequence[str]) -> str | None:
    """The program that the user's text asks for, None where it asks for none."""
    tables = [name for name in files if DATA_FILE.search(name)]
    if code := _block(text):
        return code
    if expression := _arithmetic(text, strict=bool(tables)):
        return f"print({expression})\n"
    if tables:
        return _analysis(_named(text, tables), text)
    return _NO_DATA if _CHART.search(text) else None


def any_program(text: str, files: Sequence[str]) -> str:
    """A program also where the text asks for none."""
    return program(text, files) or _LIST_FILES


def _block(text: str) -> str | None:
    blocks = [code for tag, code in _CODE_BLOCK.findall(text) if tag.lower() in _PYTHON and code.strip()]
    return "\n".join(blocks) or None


def _arithmetic(text: str, *, strict: bool) -> str | None:
    """The first sum in the text; where `strict`, only in a text that is about nothing else."""
    plain = _DATE_OR_PHONE.sub(" ", re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", text[:2000]))
    calculate = _CALCULATE.search(plain) is not None
    for found in _ARITHMETIC.findall(plain):
        alone = calculate or found.strip() == plain.strip(" \n=?.")
        # "10-20" and "24/7" in a sentence are no sums.
        if alone or (not strict and re.search(r"[*+^×÷]", found)):
            for expression in (found.strip(" ."), found.strip(" ().") + ")", found.strip(" ().")):
                if sum_ := _checked(expression):
                    return sum_
    return None


def _checked(expression: str) -> str | None:
    """The expression as Python, None where it is not one of numbers and operators only."""
    for sign, operator in (("^", "**"), ("×", "*"), ("÷", "/"), ("−", "-")):
        expression = expression.replace(sign, operator)
    try:
        nodes = list(ast.walk(ast.parse(expression, mode="eval")))
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None
    sums = any(isinstance(node, ast.BinOp) for node in nodes)
    return expression if sums and all(isinstance(node, _NODES) for node in nodes) else None


def _named(text: str, tables: Sequence[str]) -> str:
    """The table that the text names, else the last that was attached."""
    attached = [name for name in tables if not name.startswith("summary")] or tables
    return next((name for name in tables if name.lower() in text.lower()), attached[-1])


def _analysis(name: str, text: str) -> str:
    kind = name.rpartition(".")[2].lower()
    charted = _CHART.search(text) is not None
    modules = ["json", "re"] if kind == "json" else ["re"]
    parts = ["".join(f"import {module}\n" for module in modules)]
    parts.append(("import matplotlib.pyplot as plt\n" if charted else "") + "import pandas as pd\n")
    parts.append(f"path = {'/mnt/data/' + name!r}\n{_READ[kind]}")
    parts.append(_SUMMARISE)
    if _TREND.search(text):
        parts.append(_TRENDS)
    if charted:
        parts.append(_drawing(text))
    if _SAVE.search(text):
        parts.append(_SAVE_SUMMARY.format(name=SUMMARY_FILE if name != SUMMARY_FILE else "summary-2.csv"))
    return "\n".join(parts)


def _drawing(text: str) -> str:
    words = text.lower()
    in_time = _IN_TIME.search(words) and not re.search(r"\bbars?\b", words)
    style = _HISTOGRAM if "histogram" in words else _LINE if in_time else _BAR
    return _DRAW.format(question=repr(" ".join(text.split())[:300]), **style)
