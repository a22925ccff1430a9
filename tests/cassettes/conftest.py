"""Where cassettes may be recorded."""

import pytest


@pytest.fixture
def outside_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the variable under which they are only replayed."""
    monkeypatch.delenv("CI", raising=False)
