"""The attacks of the usual run, on the standings that it leaves out."""

import pytest

from tests.attacks.conftest import Outcomes
from tests.attacks.contained import CONTAINED, LOOPS, attack_on
from tests.attacks.standings import REST, Standing
from tests.attacks.test_contained import hold_to

pytestmark = pytest.mark.parametrize("standing", REST, ids=str, indirect=True, scope="session")


@pytest.mark.parametrize("name", CONTAINED)
def test_contained(contained: Outcomes, standing: Standing, name: str) -> None:
    hold_to(attack_on(standing.wall, name), contained[name].result())


@pytest.mark.parametrize("name", LOOPS)
def test_loops(ended: Outcomes, name: str) -> None:
    hold_to(LOOPS[name], ended[name].result())
