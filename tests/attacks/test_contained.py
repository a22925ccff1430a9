"""What a limit or its own doing ends: the model is told, the server lives on, and so does the thread."""

import pytest

from tests.attacks.conftest import Outcomes
from tests.attacks.contained import BEHIND_LANDLOCK, CONTAINED, ENDS, GONE, LOOPS, Attack, attack_on
from tests.attacks.standings import FIRST, SECOND, Standing
from tests.attacks.stronghold import Outcome

first = pytest.mark.parametrize("standing", [FIRST], ids=str, indirect=True, scope="session")
second = pytest.mark.parametrize("standing", [SECOND], ids=str, indirect=True, scope="session")


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


@first
@pytest.mark.parametrize("name", CONTAINED)
def test_contained(contained: Outcomes, standing: Standing, name: str) -> None:
    hold_to(attack_on(standing.wall, name), contained[name].result())


@second
@pytest.mark.parametrize("name", ENDS | BEHIND_LANDLOCK)
def test_contained_by_landlock(contained: Outcomes, standing: Standing, name: str) -> None:
    hold_to(attack_on(standing.wall, name), contained[name].result())


@first
@pytest.mark.parametrize("name", LOOPS)
def test_loops(ended: Outcomes, name: str) -> None:
    hold_to(LOOPS[name], ended[name].result())
