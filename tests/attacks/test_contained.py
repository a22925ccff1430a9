"""What a limit or its own doing ends: the model is told, the server lives on, and so does the thread."""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.attacks.contained import CONTAINED, GONE, LOOPS, Attack
from tests.attacks.stronghold import Outcome, Stronghold
from tests.attacks.traps import Traps

Outcomes = Mapping[str, "Future[Outcome]"]


def all_at_once(stronghold: Stronghold, attacks: Mapping[str, str], workers: int) -> Iterator[Outcomes]:
    """Run attacks side by side, which also shows that they leave their neighbours alone."""
    with ThreadPoolExecutor(workers) as pool:
        yield {name: pool.submit(_attack, stronghold, code) for name, code in attacks.items()}


def _attack(stronghold: Stronghold, code: str) -> Outcome:
    outcome = stronghold.attack(code)
    stronghold.client.beta.threads.delete(outcome.thread)
    return outcome


def _selected(request: pytest.FixtureRequest, test: Callable[..., None], attacks: Mapping[str, Attack]) -> list[str]:
    """The attacks whose tests were asked for."""
    items = [item for item in request.session.items if isinstance(item, pytest.Function) and item.function is test]
    named = {item.callspec.params["name"] for item in items}
    return [name for name in attacks if name in named]


@pytest.fixture(scope="module")
def contained(stronghold: Stronghold, traps: Traps, request: pytest.FixtureRequest) -> Iterator[Outcomes]:
    traps.reset()
    names = _selected(request, test_contained, CONTAINED)
    codes = {name: CONTAINED[name].code.replace("{folder}", str(traps.folder)) for name in names}
    yield from all_at_once(stronghold, codes, workers=4)
    assert traps.untouched, traps.visits


@pytest.fixture(scope="module")
def ended(hasty: Stronghold, request: pytest.FixtureRequest) -> Iterator[Outcomes]:
    names = _selected(request, test_loops, LOOPS)
    yield from all_at_once(hasty, {name: LOOPS[name].code for name in names}, workers=len(LOOPS))


def hold_to(attack: Attack, outcome: Outcome) -> None:
    """Both calls must have left what they should."""
    assert any(told in outcome.logs for told in attack.told), outcome.logs[-1000:]
    assert outcome.images == attack.images
    if attack.state == "either":
        assert outcome.after.startswith("4 ")
    else:
        assert outcome.after.startswith(f"4 {attack.state == 'kept'}\n")
    lost = "4 False" in outcome.after
    assert lost == (GONE in outcome.logs), outcome.logs[-1000:]
    assert lost == (GONE in outcome.after), outcome.after


@pytest.mark.parametrize("name", CONTAINED)
def test_contained(contained: Outcomes, name: str) -> None:
    hold_to(CONTAINED[name], contained[name].result())


@pytest.mark.parametrize("name", LOOPS)
def test_loops(ended: Outcomes, name: str) -> None:
    hold_to(LOOPS[name], ended[name].result())
