"""The code of a soak: honest work that tells whether its state is right, and every way to break an interpreter."""

import random
from dataclasses import dataclass

HONEST = """
try:
    count += 1
except NameError:
    count = 1
with open('kept.txt', 'a') as file:
    file.write('x')
import os
print('counted', count, os.path.getsize('kept.txt'))
"""

FILE = "open('out.txt', 'w').write('made in number {number}')  # links to out.txt"
IMAGE = """
from PIL import Image
from IPython.display import display
display(Image.new('RGB', (8, 8), ({number} % 256, 0, 0)))
"""
WAIT = "import time\nprint('begun', flush=True)\ntime.sleep({seconds})\nprint('waited')"

_GONE = "variables and imports are gone"
_SLOW = "|longer than 3 seconds"
"""Where the machine has other things to do, time strikes first."""


@dataclass(frozen=True, slots=True)
class Mischief:
    """Code that breaks something, and what the model has to be told."""

    name: str
    code: str
    told: str
    """A regular expression."""


MISCHIEFS = (
    Mischief("os._exit", "import os; os._exit(3)", f"ended during this call.*{_GONE}"),
    Mischief("segfault", "import ctypes; ctypes.string_at(0)", f"ended during this call.*{_GONE}"),
    Mischief("abort", "import os; os.abort()", f"ended during this call.*{_GONE}"),
    Mischief("sys.exit", "import sys; sys.exit(1)", "SystemExit"),
    Mischief("exit", "exit()", f"code ended the interpreter.*{_GONE}"),
    Mischief("kill 0", "import os; os.kill(0, 9)", f"ended during this call.*{_GONE}"),
    Mischief("endless loop", "while True: pass", "longer than 3 seconds.*variables were kept"),
    Mischief(
        "stubborn loop",
        "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass",
        f"longer than 3 seconds.*{_GONE}",
    ),
    Mischief(
        "memory", "x = []\nwhile True: x.append(bytearray(b'x') * 2**24)", "192 MiB of memory|MemoryError" + _SLOW
    ),
    Mischief(
        "shared memory",
        "x = open('/dev/shm/x', 'wb')\nwhile True: x.write(b'x' * 2**20)",
        "File too large|No space left|of memory" + _SLOW,
    ),
    Mischief(
        "disk", "for i in range(4): open(f'big{i}', 'wb').write(b'x' * (30 << 20))", "more than 64 MiB of files" + _SLOW
    ),
    Mischief("depth", "import os\nos.makedirs('deep' + '/a' * 30, exist_ok=True)", "folders nested more than"),
    Mischief("flood", "while True: print('x' * 5000)", "16 MiB of output|was cut|ended during" + _SLOW),
    Mischief("long output", "print('y' * 2_000_000)", "was cut"),
    Mischief(
        "fork bomb",
        "import os, time\ntry:\n    while os.fork(): pass\n    time.sleep(60)\nexcept OSError: print('refused')",
        "refused" + _SLOW,
    ),
    Mischief(
        "daemon",
        "import subprocess\nsubprocess.Popen(['setsid', 'sh', '-c', 'sleep 1000 & sleep 1000'])\nprint('left')",
        "left",
    ),
    Mischief(
        "links",
        "import os, secrets\nfor t in ('/etc/passwd', '/'): os.symlink(t, secrets.token_hex(4))\n"
        "os.mkfifo(secrets.token_hex(4)); print('linked')",
        "linked",
    ),
    Mischief(
        "forked printer", "import os\nif not os.fork():\n    while True: print('z' * 100)\nprint('on')", "on|gone"
    ),
)

KINDS = {
    "honest": 40,
    "file": 6,
    "image": 5,
    "mischief": 28,
    "cancelled": 6,
    "client gone": 5,
    "thread deleted": 4,
    "process killed": 6,
}
"""What a call may be, and how often."""


def choose(chance: random.Random) -> str:
    """The kind of the next call."""
    return chance.choices(list(KINDS), list(KINDS.values()))[0]
