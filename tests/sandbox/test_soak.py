"""The short form of the soak."""

import subprocess
import sys
from pathlib import Path


def test_nothing_is_left_behind() -> None:
    command = [sys.executable, "-W", "ignore", "-m", "tests.sandbox.soak", "--calls", "40", "--threads", "16"]
    done = subprocess.run(
        [*command, "--server-kills", "1"],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout
