"""Keeps what became of every cell of the matrix, and writes the page."""

import pytest

from tests.clients.matrix import CLIENTS, ROOT
from tests.clients.page import Outcomes, page

PAGE = ROOT / "docs/clients.md"
CELLS = {f"{client}-{name}": (client, name) for client in CLIENTS for name in client.features}
_outcomes: Outcomes = {}


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Hears of what all workers did."""
    cell = CELLS.get(report.nodeid.partition("::test_client[")[2].removesuffix("]"))
    if cell is not None:
        _outcomes[cell] = _outcomes.get(cell, True) and report.passed


def pytest_sessionfinish() -> None:
    """Only a run of all cells writes the page."""
    if _outcomes.keys() == set(CELLS.values()):
        PAGE.write_text(page(_outcomes))
