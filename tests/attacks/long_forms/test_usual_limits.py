"""The largest attacks, against a server with the limits that it has unless told otherwise."""

from collections.abc import Iterator

import pytest

from tests.attacks.contained import DIED, GONE, Attack
from tests.attacks.standings import Standing
from tests.attacks.stronghold import Stronghold
from tests.attacks.test_contained import hold_to
from tests.scripted_upstream import ScriptedUpstream

MEMORY = f"The code used more than 2048 MiB of memory and the interpreter was ended: {GONE}."
DISK = f"The code wrote more than 1024 MiB of files and the interpreter was ended: {GONE}."
FILES = "The code made more than 10000 files, or folders nested more than 16 deep, and the interpreter was ended: "
FLOODED = ("The call sent more than 16 MiB of output.", MEMORY, DIED)
TOO_LARGE = ("OSError: [Errno 27] File too large",)
_WRITE = """
piece = b'x' * (1 << 20)
def fill(name, size):
    with open(name, 'wb') as f:
        for _ in range(size): f.write(piece)
"""
_HOLD = "\nimport time; time.sleep(100)"

ATTACKS = {
    "a file of 10 GB": Attack(_WRITE + "fill('big', 10_240)", TOO_LARGE, "kept"),
    "many files of 500 MB": Attack(_WRITE + "for i in range(9): fill(f'big{i}', 500)" + _HOLD, (DISK,)),
    "a bytearray of 20 GB": Attack("bytearray(20 * 2**30)", ("MemoryError",), "kept"),
    "arrays of 100 MB": Attack(
        "import numpy\nheld = []\nwhile True: held.append(numpy.ones(100 << 17))", (MEMORY, "MemoryError"), "either"
    ),
    "20 forked hogs": Attack(
        "import os\nfor _ in range(20):\n"
        " if os.fork() == 0: held = bytearray(os.urandom(1)) * (200 << 20); import time; time.sleep(100)" + _HOLD,
        (MEMORY,),
    ),
    "a million files": Attack("for i in range(1_000_000): open(f'f{i}', 'w').close()" + _HOLD, (FILES,)),
    "a line of 1 GB": Attack("print('x' * 10**9)", (*FLOODED, "MemoryError"), "either"),
}


@pytest.fixture(scope="module")
def usual(standing: Standing, upstream: ScriptedUpstream) -> Iterator[Stronghold]:
    """A server with the usual limits."""
    stronghold = Stronghold(standing, upstream)
    yield stronghold
    stronghold.close()


@pytest.mark.parametrize("name", ATTACKS)
def test_the_usual_limits(usual: Stronghold, name: str) -> None:
    outcome = usual.attack(ATTACKS[name].code)
    hold_to(ATTACKS[name], outcome)
    usual.client.beta.threads.delete(outcome.thread)
