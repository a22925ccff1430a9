"""One server per standing serves all attacks; each attack has a thread of its own."""

from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.attacks.contained import CONTAINED, LOOPS, Attack
from tests.attacks.standings import STANDINGS, Standing
from tests.attacks.stronghold import Outcome, Stronghold, literally
from tests.attacks.traps import Traps
from tests.scripted_upstream import ScriptedUpstream
from understudy_sandbox.landlock import Landlock

Outcomes = Mapping[str, "Future[Outcome]"]
# No jail waits: one that has imported pandas would come to the end of its addresses before that of its memory.
ROOM = ("--sandbox-memory", "192MiB", "--sandbox-disk", "64MiB", "--sandbox-processes", "48", "--sandbox-warm", "0")


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
    if standing.obstacle:
        pytest.skip(standing.obstacle)
    if standing.wall == "landlock":
        Landlock()  # Root makes the link that the wall needs, for an ordinary user's server too.
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


def all_at_once(stronghold: Stronghold, attacks: Mapping[str, str], workers: int) -> Iterator[Outcomes]:
    """Run attacks side by side, which also shows that they leave their neighbours alone."""
    with ThreadPoolExecutor(workers) as pool:
        yield {name: pool.submit(_attack, stronghold, code) for name, code in attacks.items()}


def _attack(stronghold: Stronghold, code: str) -> Outcome:
    outcome = stronghold.attack(code)
    stronghold.client.beta.threads.delete(outcome.thread)
    return outcome


def _selected(request: pytest.FixtureRequest, standing: Standing, attacks: Mapping[str, Attack]) -> list[str]:
    """The attacks whose tests were asked for, on this standing."""
    items = [item for item in request.session.items if isinstance(item, pytest.Function)]
    asked = [item.callspec.params for item in items if request.fixturename in item.fixturenames]
    named = {params["name"] for params in asked if params["standing"] == standing}
    return [name for name in attacks if name in named]


@pytest.fixture(scope="module")
def contained(stronghold: Stronghold, traps: Traps, request: pytest.FixtureRequest) -> Iterator[Outcomes]:
    """What became of the attacks that a limit or their own doing ends."""
    traps.reset()
    names = _selected(request, stronghold.standing, CONTAINED)
    codes = {name: CONTAINED[name].code.replace("{folder}", literally(str(traps.folder))) for name in names}
    yield from all_at_once(stronghold, codes, workers=4)
    assert traps.untouched, traps.visits


@pytest.fixture(scope="module")
def ended(hasty: Stronghold, request: pytest.FixtureRequest) -> Iterator[Outcomes]:
    """What became of the attacks that only time ends."""
    names = _selected(request, hasty.standing, LOOPS)
    yield from all_at_once(hasty, {name: LOOPS[name].code for name in names}, workers=len(LOOPS))
