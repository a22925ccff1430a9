"""A table of figures beside their baselines, printed while it grows."""

import argparse
import datetime
import importlib.metadata
import os
import platform
from pathlib import Path


class Table:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.add("| figure | Understudy | baseline | ratio | aim |")
        self.add("|---|---:|---:|---:|---:|")

    def add(self, line: str) -> None:
        self.lines.append(line)
        print(line, flush=True)

    def row(self, figure: str, unit: str, ours: float, baseline: float, what: str, aim: str = "") -> None:
        shown = [f"{value:,.0f}" if value >= 100 else f"{value:.3g}" for value in (ours, baseline)]
        self.add(f"| {figure} | {shown[0]} {unit} | {shown[1]} {unit} ({what}) | {ours / baseline:.2f} | {aim} |")


def place(description: str | None) -> Path | None:
    """The page that the command line says to append to."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", type=Path, metavar="FILE", help="append the page to this one")
    written: Path | None = parser.parse_args().write
    return written


def append(page: Path | None, introduction: str, table: Table, *packages: str) -> None:
    """Append a part of a page, if there is one: what was measured, on which machine, with which packages."""
    if page is not None:
        with page.open("a") as output:
            output.write(introduction + machine(*packages) + "\n".join(table.lines) + "\n")


def machine(*packages: str) -> str:
    """The date, the machine and the versions of packages, in two lines."""
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    cpu = models[0].partition(": ")[2] if models else platform.machine()
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)
    system = f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    return f"{datetime.date.today()}: {os.cpu_count()} cores ({cpu}), {system};\n{versions}.\n\n"
