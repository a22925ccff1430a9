"""The same on the standings that the usual run leaves out."""

import pytest

from tests.attacks.standings import REST, SECOND
from tests.attacks.test_left_behind import (
    test_a_fork_bomb_stays_small_and_its_neighbour_works_on,
    test_a_killed_server_leaves_no_jail,
    test_daemons_end_with_their_jail,
    test_only_plain_files_are_returned,
    word,
)

__all__ = [
    "test_a_fork_bomb_stays_small_and_its_neighbour_works_on",
    "test_a_killed_server_leaves_no_jail",
    "test_daemons_end_with_their_jail",
    "test_only_plain_files_are_returned",
    "word",
]

AS_ROOT = [standing for standing in REST if standing != SECOND]
pytestmark = pytest.mark.parametrize("standing", AS_ROOT, ids=str, indirect=True, scope="session")
