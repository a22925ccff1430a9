"""Keeps what became of every cell of the matrix, and writes the page."""

from collections.abc import Generator

import pytest

from tests.clients.matrix import CLIENTS, ROOT, Client
from tests.clients.page import Outcomes, page

PAGE = ROOT / "docs/clients.md"
OUTCOMES = pytest.StashKey[Outcomes]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[OUTCOMES] = {}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if isinstance(item, pytest.Function) and item.originalname == "test_client":
        client, feature = item.callspec.params["client"], item.callspec.params["feature"]
        assert isinstance(client, Client)
        assert isinstance(feature, str)
        outcomes = item.config.stash[OUTCOMES]
        outcomes[client, feature] = outcomes.get((client, feature), True) and report.passed
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Only a run of all cells writes the page."""
    outcomes = session.config.stash[OUTCOMES]
    if outcomes.keys() == {(client, feature) for client in CLIENTS for feature in client.features}:
        PAGE.write_text(page(outcomes))
