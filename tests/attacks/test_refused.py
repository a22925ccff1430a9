"""What a wall refuses at once: the network, the host's files and processes, and powers over the system."""

import json
from collections.abc import Iterator

import pytest

from tests.attacks.refused import PREAMBLE, REFUSED, UNWALLED, right
from tests.attacks.standings import STANDINGS, Standing
from tests.attacks.stronghold import Stronghold, literally
from tests.attacks.traps import Traps
from tests.scripted_upstream import ScriptedUpstream

Reports = dict[str, str]


def attempt(stronghold: Stronghold, traps: Traps, names: tuple[str, ...]) -> Reports:
    """Try these attempts in one cell; what they report."""
    server = stronghold.server
    stronghold.logs(stronghold.thread(), "open('/mnt/data/theirs', 'w').close()")
    (theirs,) = server.data_dir.glob("**/theirs")
    places = {
        "folder": traps.folder,
        "port": traps.port,
        "abstract": traps.abstract,
        "data_dir": server.data_dir,
        "theirs": theirs,
        "inside": stronghold.standing.inside,
        "pid": server.process.pid,
        "port_of_server": server.root.rpartition(":")[2],
    }
    codes = {name: REFUSED[name][0].format_map(places) for name in names}
    traps.reset()
    cell = f"{PREAMBLE}\nprint(json.dumps({{name: report(code) for name, code in {codes!r}.items()}}))"
    outcome = stronghold.attack(literally(cell))
    assert outcome.after == "4 True\n"
    reports: Reports = json.loads(outcome.logs)
    return reports


@pytest.fixture(scope="module")
def reports(stronghold: Stronghold, traps: Traps) -> Reports:
    """All attempts behind one wall."""
    reports = attempt(stronghold, traps, tuple(REFUSED))
    assert traps.untouched, traps.visits
    return reports


@pytest.mark.parametrize("name", REFUSED)
def test_refused(reports: Reports, name: str, standing: Standing) -> None:
    assert reports[name] in right(name, standing.wall)


@pytest.fixture(scope="module")
def unwalled(upstream: ScriptedUpstream, traps: Traps) -> Iterator[Reports]:
    """Those that do no harm, behind no wall."""
    stronghold = Stronghold(Standing("unsafe-local", as_root=False), upstream)
    yield attempt(stronghold, traps, UNWALLED)
    stronghold.close()
    assert set(traps.visits) == {"TCP", "UDP", "UNIX", "UNIX datagrams", "abstract"}


@pytest.mark.parametrize("name", UNWALLED)
def test_the_same_succeeds_without_a_wall(unwalled: Reports, name: str) -> None:
    """The attempts can succeed, so the test above can fail."""
    assert unwalled[name].startswith("got ")
    assert not any(unwalled[name] in right(name, standing.wall) for standing in STANDINGS)
