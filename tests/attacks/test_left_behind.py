"""What an attack leaves behind: planted files are never followed, daemons end with their jail, neighbours work on."""

import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from openai import APIConnectionError

from tests.attacks.contained import GONE, Attack
from tests.attacks.standings import FIRST, SECOND
from tests.attacks.stronghold import AFTER, Stronghold, ends, literally, runs
from tests.attacks.test_contained import hold_to
from tests.attacks.traps import Traps

pytestmark = pytest.mark.parametrize("standing", [FIRST, SECOND], ids=str, indirect=True, scope="session")

PLANTED = """
import os, socket
os.mkfifo('fifo')
os.symlink('/etc/passwd', 'passwd')
os.symlink({canary!r}, 'canary')
os.symlink('/', 'all')
os.symlink('fifo', 'chain')
os.mkdir('folder')
os.symlink('/proc/self/fd/0', 'folder/input')
try:
    socket.socket(socket.AF_UNIX).bind('socket')
except OSError:
    print('no socket')
open('plain.txt', 'w').write('plain')
"""
MENTIONED = (
    *("fifo", "passwd", "canary", "all/etc/passwd", "all{canary}", "chain", "folder", "folder/input", "socket"),
    *("../../etc/passwd", "/etc/passwd", "folder/../../../etc/passwd", ".", "", "plain.txt/x"),
)
DAEMON = "import subprocess; subprocess.Popen(['sh', '-c', 'setsid sleep {word} & setsid sleep {word} &'])"
BOMB = """
import os, time
me, refused, until = os.getpid(), 0, time.monotonic() + 2
while time.monotonic() < until:
    try:
        os.fork()
    except BlockingIOError:
        refused += 1
        time.sleep(0.01)
if not refused:
    time.sleep(20)
if os.getpid() != me:
    os._exit(0)
print(refused > 0)
"""
COUNTED = Attack(BOMB, ("True\n",), "kept")
WATCHED = Attack(BOMB, (f"The code ran more than 48 processes and threads and the interpreter was ended: {GONE}.",))


def test_only_plain_files_are_returned(stronghold: Stronghold, traps: Traps) -> None:
    traps.reset()
    names = [name.format(canary=traps.canary) for name in MENTIONED]
    links = "".join(f"[{number}](sandbox:/mnt/data/{name}) " for number, name in enumerate(names))
    code = literally(PLANTED.format(canary=str(traps.canary)))
    outcome = stronghold.attack(code, answer=f"{links} and [it](sandbox:/mnt/data/plain.txt)")
    assert outcome.after == "4 True\n"
    text = outcome.answer.content[0].text
    assert text.value.startswith(links.strip())
    (annotation,) = text.annotations
    assert annotation.text == "sandbox:/mnt/data/plain.txt"
    assert stronghold.client.files.content(annotation.file_path.file_id).read() == b"plain"
    assert [attachment.file_id for attachment in outcome.answer.attachments] == [annotation.file_path.file_id]
    assert traps.untouched


@pytest.fixture
def word() -> str:
    """Seconds to sleep that no other process sleeps."""
    return f"86400.{uuid.uuid4().int}"


@pytest.mark.parametrize("end", ["the interpreter dies", "the thread is deleted"])
def test_daemons_end_with_their_jail(stronghold: Stronghold, word: str, end: str) -> None:
    thread = stronghold.thread()
    stronghold.run(thread, DAEMON.format(word=word), "import time; time.sleep(0.2)")
    assert runs(word)
    if end == "the interpreter dies":
        assert "The interpreter ended during this call" in stronghold.logs(thread, "import os; os._exit(0)")
    else:
        stronghold.client.beta.threads.delete(thread)
    assert ends(word)
    assert stronghold.server.health()["status"] == "ok"


def test_a_fork_bomb_stays_small_and_its_neighbour_works_on(stronghold: Stronghold) -> None:
    neighbour = stronghold.thread()
    stronghold.logs(neighbour, "before = 1")
    answers = []
    with ThreadPoolExecutor(1) as pool:
        bomb = pool.submit(stronghold.attack, BOMB)
        while not bomb.done():
            answers.append(stronghold.logs(neighbour, AFTER))
    hold_to(COUNTED if stronghold.standing.counted else WATCHED, bomb.result())
    assert set(answers) == {"4 True\n"}


def test_a_killed_server_leaves_no_jail(stronghold: Stronghold, word: str) -> None:
    thread = stronghold.thread()
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(
            stronghold.run, thread, f"before = 1\n{DAEMON.format(word=word)}\nimport time; time.sleep(99)"
        )
        while not runs(word):
            assert not call.done()
            time.sleep(0.05)
        stronghold.server.kill()
        with pytest.raises(APIConnectionError):
            call.result()
    assert ends(word)
    stronghold.restart()
    after = stronghold.logs(thread, AFTER)
    assert after.startswith("4 False\n")
    assert GONE in after
