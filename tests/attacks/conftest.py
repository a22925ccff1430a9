"""One server per standing serves all attacks; each attack has a thread of its own."""

from collections.abc import Iterator

import pytest

from tests.attacks.standings import STANDINGS, Standing
from tests.attacks.stronghold import Stronghold
from tests.attacks.traps import Traps
from tests.scripted_upstream import ScriptedUpstream

ROOM = ("--sandbox-memory", "192MiB", "--sandbox-disk", "64MiB", "--sandbox-processes", "48")


@pytest.fixture(scope="session")
def traps() -> Iterator[Traps]:
    """What nobody may reach."""
    traps = Traps()
    yield traps
    traps.close()


@pytest.fixture(scope="session", params=STANDINGS, ids=str)
def standing(request: pytest.FixtureRequest) -> Standing:
    """Where the attacks of a test come from."""
    standing: Standing = request.param
    if not standing.possible:
        pytest.skip("only root can start a server as root")
    return standing


@pytest.fixture(scope="session")
def stronghold(standing: Standing, upstream: ScriptedUpstream) -> Iterator[Stronghold]:
    """A server with little room and time enough."""
    stronghold = Stronghold(standing, upstream, "--sandbox-timeout", "30", *ROOM)
    yield stronghold
    stronghold.close()


@pytest.fixture(scope="session")
def hasty(standing: Standing, upstream: ScriptedUpstream) -> Iterator[Stronghold]:
    """A server with little room and two seconds for each call."""
    stronghold = Stronghold(standing, upstream, "--sandbox-timeout", "2", *ROOM)
    yield stronghold
    stronghold.close()
