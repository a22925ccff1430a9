"""Attacks that run until they end by themselves or a limit ends them: what they do, and what the model is told."""

from dataclasses import dataclass, replace
from typing import Literal

GONE = "variables and imports are gone"
DIED = f"The interpreter ended during this call: {GONE}. The files in /mnt/data were kept."
MEMORY = f"The code used more than 192 MiB of memory and the interpreter was ended: {GONE}. The files in /mnt/data were"
DISK = f"The code wrote more than 64 MiB of files and the interpreter was ended: {GONE}."
FILES = "The code made more than 10000 files, or folders nested more than 16 deep, and the interpreter was ended: "
FLOODED = ("The call sent more than 16 MiB of output.", MEMORY, DIED)
"""What a slow reader has not taken yet is the jail's own memory."""
CUT = "The output was longer than 256 KiB"
LATE = "The call took longer than 2 seconds. "
STOPPED = f"{LATE}It was interrupted; variables were kept."
KILLED = f"{LATE}It did not stop and was killed: {GONE}. The files in /mnt/data were kept."
UNREADABLE = f"The interpreter sent something unreadable and was ended: {GONE}."

State = Literal["kept", "lost", "either"]
_HOLD = "\nimport time; time.sleep(100)"


@dataclass(frozen=True)
class Attack:
    """One cell, one of the things that the model must be told, and what becomes of the variables."""

    code: str
    told: tuple[str, ...]
    state: State = "lost"
    images: int = 0


def _late(code: str, told: str, state: State) -> Attack:
    return Attack(code, (told,), state)


def _memory(code: str) -> Attack:
    return Attack(code + _HOLD, (MEMORY,))


def _disk(code: str) -> Attack:
    return Attack(code + _HOLD, (DISK,))


def _files(code: str) -> Attack:
    return Attack(code + _HOLD, (FILES,))


LOOPS = {
    "an endless loop": _late("while True: pass", STOPPED, "kept"),
    "a loop that catches the interrupt": _late(
        "import time\nwhile True:\n try: time.sleep(0.1)\n except BaseException: pass", KILLED, "lost"
    ),
    "the interrupt ignored": _late(
        "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass", KILLED, "lost"
    ),
    "the interrupt blocked": Attack(
        "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])\nwhile True: pass",
        (STOPPED, KILLED),
        "either",
    ),
    "a loop in C": _late("import itertools; sum(itertools.repeat(0))", KILLED, "lost"),
    "a regular expression": Attack("import re; re.match(r'(a+)+$', 'a' * 60 + 'b')", (STOPPED, KILLED), "either"),
    "sleep": _late("import time; time.sleep(100)", STOPPED, "kept"),
    "a program that sleeps": _late("import subprocess; subprocess.run(['sleep', '100'])", STOPPED, "kept"),
    "itself stopped": _late("import os, signal; os.kill(os.getpid(), signal.SIGSTOP)", KILLED, "lost"),
}
"""Against a server that gives a call two seconds."""

ENDS = {
    "os._exit": Attack("import os; os._exit(3)", (DIED,)),
    "exit": Attack("exit()", (f"The code ended the interpreter: {GONE}.",)),
    "sys.exit": Attack("import sys; sys.exit(1)", ("SystemExit: 1",), "kept"),
    "segmentation fault": Attack("import ctypes; ctypes.string_at(0)", (DIED,)),
    "abort": Attack("import os; os.abort()", (DIED,)),
    "itself killed": Attack("import os; os.kill(os.getpid(), 9)", (DIED,)),
    "its process group killed": Attack("import os; os.killpg(0, 9)", (DIED,)),
    "all the stack": Attack(
        "import sys; sys.setrecursionlimit(10**9); x = []\nfor _ in range(10**6): x = [x]\nrepr(x)", (DIED,)
    ),
    "kill 1": Attack(
        "import os\ntry: os.kill(1, 9)\nexcept PermissionError: pass\nprint('survived')", ("survived",), "kept"
    ),
    "kill -1": Attack(
        "import os\ntry: os.kill(-1, 9)\nexcept OSError: pass\nprint('survived')", ("survived", DIED), "either"
    ),
}

MEMORIES = {
    "a bytearray of 20 GB": Attack("bytearray(20 * 2**30)", ("MemoryError",), "kept"),
    "an array of 20 GB": Attack("import numpy; numpy.ones(20 * 2**27)", ("MemoryError",), "kept"),
    "a string without end": Attack("x = 'x'\nwhile True: x += x", ("MemoryError", MEMORY), "either"),
    "heap": _memory("held = [bytearray(b'x') * (16 << 20) for _ in range(16)]"),
    "numpy": _memory("import numpy; held = numpy.ones(32 << 20)"),
    "shared with nobody": _memory("import mmap; held = mmap.mmap(-1, 200 << 20); held[:] = b'x' * (200 << 20)"),
    "20 forked hogs": _memory(
        "import os, time\nfor _ in range(20):\n"
        " if os.fork() == 0: held = bytearray(os.urandom(1)) * (12 << 20); time.sleep(100)"
    ),
    "/tmp": _memory("for i in range(10): open(f'/tmp/{i}', 'wb').write(b'x' * (20 << 20))"),
    "deleted in /tmp": _memory(
        "import os; held = []\nfor _ in range(10):\n"
        " held.append(open('/tmp/x', 'wb', 0)); held[-1].write(b'x' * (20 << 20)); os.unlink('/tmp/x')"
    ),
    "/dev/shm": _memory(
        "for i in range(3): open(f'/dev/shm/{i}', 'wb').write(b'x' * (20 << 20))\nheld = bytearray(b'x') * (110 << 20)"
    ),
    "more than /dev/shm holds": Attack(
        "import os\ntry:\n"
        " for i in range(9): open(f'/dev/shm/{i}', 'wb').write(b'x' * (10 << 20))\n"
        "finally:\n for i in range(9): os.path.exists(f'/dev/shm/{i}') and os.unlink(f'/dev/shm/{i}')",
        ("No space left on device",),
        "kept",
    ),
}

DISKS = {
    "a file of 10 GB": Attack(
        "piece = b'x' * (1 << 20)\nwith open('big', 'wb') as f:\n for _ in range(10_240): f.write(piece)",
        ("OSError: [Errno 27] File too large",),
        "kept",
    ),
    "a sparse terabyte": Attack("open('big', 'wb').truncate(2**40)", ("OSError: [Errno 27] File too large",), "kept"),
    "a terabyte reserved": Attack(
        "import os; os.posix_fallocate(os.open('big', os.O_CREAT | os.O_RDWR), 0, 2**40)",
        ("OSError: [Errno 27] File too large",),
        "kept",
    ),
    "many files": _disk("for i in range(5): open(f'big{i}', 'wb').write(b'x' * (20 << 20))"),
    "in a shut folder": _disk(
        "import os; os.mkdir('d')\nfor i in range(5): open(f'd/{i}', 'wb').write(b'x' * (20 << 20))\nos.chmod('d', 0)"
    ),
    "under names that are no text": _disk(
        "import os\nfor i in range(5): open(b'\\xff%d' % i, 'wb').write(b'x' * (20 << 20))"
    ),
    "deleted but open": _disk(
        "import os; held = []\nfor i in range(5):\n"
        " held.append(open('x', 'wb', 0)); held[-1].write(b'x' * (20 << 20)); os.unlink('x')"
    ),
    "deleted but mapped": _disk(
        "import mmap, os; held = []\nfor i in range(5):\n with open('x', 'w+b', 0) as f:\n"
        "  f.write(b'x' * (20 << 20)); held.append(mmap.mmap(f.fileno(), 20 << 20)); os.unlink('x')\n"
        " os.close(os.open('/dev/null', 0))"
    ),
    "20,000 files": _files("for i in range(20_000): open(f'f{i}', 'w').close()"),
    "20,000 links": _files("import os\nfor i in range(20_000): os.symlink('/etc/passwd', f'f{i}')"),
    "20,000 nested folders": _files("import os\nfor i in range(20_000): os.mkdir('d'); os.chdir('d')"),
}

FLOODS = {
    "endless print": Attack("line = 'x' * 1000\nwhile True: print(line)", FLOODED, "either"),
    "endless lines on stderr": Attack(
        "import sys\nline = 'x' * 1000\nwhile True: print(line, file=sys.stderr)", FLOODED, "either"
    ),
    "descriptor 1": Attack("import os\nwhile True: os.write(1, b'x' * 65536)", FLOODED, "either"),
    "a program's output": Attack("import subprocess; subprocess.run(['yes', 'x' * 1000])", FLOODED, "either"),
    "one line of 20 MB": Attack("print('x' * 20_000_000)", FLOODED, "either"),
    "HTML": Attack("from IPython.display import HTML\nwhile True: display(HTML('x' * 1_000_000))", FLOODED, "either"),
    "one message of 80 MB": Attack(
        "from IPython.display import HTML\nHTML('x' * 80_000_000)", (UNREADABLE, *FLOODED), "either"
    ),
    "an error of 4 MB": Attack("raise ValueError('x' * 4_000_000)", (CUT,), "kept"),
    "1,000 images": Attack(
        "from PIL import Image\nfor i in range(1000): display(Image.new('RGB', (4, 4), (i % 256, i // 256, 0)))",
        ("980 images were left out",),
        "kept",
        images=20,
    ),
    "one image again and again": Attack(
        "from PIL import Image\none = Image.effect_noise((256, 256), 100)\nwhile True: display(one)",
        FLOODED,
        "either",
        1,
    ),
}

WIRES = {
    "ANSI and bad UTF-8": Attack(
        "import os; os.write(1, b'\\x1b[31m\\xff\\xfe\\xed\\xa0\\x80\\x00\\n'); print('\\ud800 done')",
        (" done",),
        "kept",
    ),
    "a forged end": Attack(
        "kernel = get_ipython().kernel\n"
        "def forge(kind, content):\n"
        " kernel.session.send(kernel.iopub_socket, kind, content, parent=kernel.get_parent())\n"
        "for state in ('idle', ['nonsense']): forge('status', {'execution_state': state})\n"
        "forge('status', {}); forge('stream', {'text': 5}); forge('display_data', {'data': {'image/png': 'bm8='}})\n"
        "forge('error', {'traceback': 7}); forge('stream', {'name': {}, 'text': 'forged '})",
        ("forged ",),
        "kept",
    ),
    "frames that are no messages": Attack(
        "frames = [b'x', b'<IDS|MSG>', b'', b'{', b'[', b'', b'']\n"
        "get_ipython().kernel.iopub_socket.send_multipart(frames)" + _HOLD,
        (UNREADABLE,),
    ),
    "sockets swapped for links": Attack(
        "import ipykernel.connect, os\nwires = os.path.dirname(ipykernel.connect.get_connection_file())\ntry:\n"
        " for i in range(1, 6):\n  os.unlink(f'{wires}/s-{i}')\n  os.symlink('{folder}/stream', f'{wires}/s-{i}')\n"
        "except OSError: pass\nos._exit(0)",
        (DIED,),
    ),
    "pip": Attack("!pip install colorama", ("There is no network",), "kept"),
    "input": Attack("input()", ("Nobody can type here",), "kept"),
}

CONTAINED = ENDS | MEMORIES | DISKS | FLOODS | WIRES
"""Against a server with little room."""

BEHIND_LANDLOCK = {
    "/tmp": replace(MEMORIES["/tmp"], told=(DISK,)),
    "deleted in /tmp": replace(MEMORIES["deleted in /tmp"], told=(DISK,)),
    **{
        name: replace(MEMORIES[name], told=("PermissionError: [Errno 13]",), state="kept")
        for name in ("/dev/shm", "more than /dev/shm holds")
    },
}
"""Its /tmp is a folder on the disk, and /dev/shm is the host's."""


def attack_on(wall: str, name: str) -> Attack:
    """One of the attacks on a server with little room, and what must become of it behind a wall."""
    return BEHIND_LANDLOCK.get(name, CONTAINED[name]) if wall == "landlock" else CONTAINED[name]
