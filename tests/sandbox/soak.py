"""A thousand calls over fifty threads, many broken on purpose; then: what is left? `python -m tests.sandbox.soak`."""

import argparse
import ctypes
import random
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

from tests.conftest import official_client
from tests.runs.streams import CODE, assistant_with
from tests.sandbox import accounts
from tests.sandbox.soak_callers import FINAL, Caller, Soak
from tests.scripted_upstream import JSON, Reply, ScriptedUpstream
from tests.server_process import ServerProcess

IDLE = 2.0
FLAGS = (
    *("--sandbox-timeout", "3", "--sandbox-memory", "192MiB", "--sandbox-disk", "64MiB", "--sandbox-processes", "32"),
    *("--sandbox-sessions", "10", "--sandbox-idle", str(IDLE)),
)
_SUBREAPER = 36
_AT_ONCE = 8
_GROWTH = 96 * 1024 * 1024


def answer(body: JSON) -> Reply:
    """The model: what the user says is the code to run; then it links to the file that the code wrote."""
    last = body["messages"][-1]
    if last["role"] == "user":
        return Reply(calls=[("code_interpreter", {"code": last["content"]})])
    user = next(message["content"] for message in reversed(body["messages"]) if message["role"] == "user")
    return Reply("sandbox:/mnt/data/out.txt" if "links to out.txt" in user else "done")


def warm_up(soak: Soak) -> accounts.Account:
    """What is held once everything was used and all sessions are closed."""
    caller = Caller(soak, -1, 2)
    for conversation in caller.conversations:
        caller.image(conversation, 0)
        caller.file(conversation, 0)
        caller.cancelled(conversation)
        caller.client.beta.threads.delete(conversation.id)
    caller.client.close()
    return rest(soak, [], None)


def rest(soak: Soak, sessions: list[str], before: accounts.Account | None) -> accounts.Account:
    """The account once it is at rest: sessions are idle, so that their kernels are closed."""
    deadline = time.monotonic() + IDLE + 15
    while True:
        time.sleep(0.5)
        account = accounts.take(soak.server.process.pid, soak.folder, soak.server.data_dir, sessions)
        left = account.left_since(before or accounts.Account(account.held - Counter(_processes(account)), 0))
        if not left or time.monotonic() > deadline:
            return account


def _processes(account: accounts.Account) -> dict[str, int]:
    return {name: count for name, count in account.held.items() if name.startswith("processes")}


def soak_through(soak: Soak, threads: int, server_kills: int) -> None:
    """All calls, then the accounts: of the living server, and of the stopped one."""
    before = warm_up(soak)
    soak.met.clear()
    soak.up.set()
    each = -(-threads // _AT_ONCE)
    callers = [Caller(soak, number, each) for number in range(_AT_ONCE)]
    started = time.monotonic()
    hands = [threading.Thread(target=caller.work) for caller in callers]
    for hand in hands:
        hand.start()
    for number in range(server_kills):
        while soak.begun < soak.calls * (number + 1) // (server_kills + 1):
            time.sleep(0.01)
        soak.kill_server()
    for hand in hands:
        hand.join()
    seconds = time.monotonic() - started
    print(f"{soak.calls} calls in {seconds:.0f} s: {soak.calls / seconds:.1f} a second")
    account_for(soak, callers, before)


def account_for(soak: Soak, callers: list[Caller], before: accounts.Account) -> None:
    """Complain of all that is left."""
    sessions = [conversation.id for caller in callers for conversation in caller.conversations]
    with official_client(soak.server) as client:
        runs = [run for thread in sessions for run in client.beta.threads.runs.list(thread)]
    for run in runs:
        if run.status not in FINAL:
            soak.complain(f"{run.id} is {run.status}")
    account = rest(soak, sessions, before)
    for sentence in account.left_since(before):
        soak.complain(f"left in the living server: {sentence}")
    grown = account.resident - before.resident
    print(f"server: {account.resident >> 20} MiB, {grown >> 20} more than at first; held: {dict(account.held)}")
    if grown > _GROWTH:
        soak.complain(f"the server grew by {grown >> 20} MiB")
    if soak.deaths > soak.killed:
        soak.complain(f"{soak.deaths} calls died, and {soak.killed} processes were killed")
    if soak.server.stop() != 0:
        soak.complain("the server did not end well")
    for pid in accounts.orphans([]):
        soak.complain(f"process {pid} outlives the server: {Path(f'/proc/{pid}/cmdline').read_bytes()!r}")
    for path in soak.folder.iterdir():
        soak.complain(f"left after the server: {path}")


def main() -> int:
    """Soak as told on the command line; 1 where anything is wrong or left."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=50)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10000))
    parser.add_argument("--server-kills", type=int, default=2)
    given = parser.parse_args()
    print(f"seed {given.seed}")
    # Orphans of the server become children of this process, which finds them so.
    ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
    upstream = ScriptedUpstream()
    folder = Path(tempfile.mkdtemp(prefix="soak-", dir="/tmp"))  # short, as the paths of sockets have to be
    data = Path(tempfile.mkdtemp(prefix="soak-data-"))
    server = ServerProcess(data / "data", "--upstream", upstream.url, *FLAGS, environ={"TMPDIR": str(folder)})
    with official_client(server) as client:
        assistant = assistant_with(client, upstream.script(*[answer] * 3 * given.calls), [CODE])
    soak = Soak(server, assistant, folder, given.calls, given.seed)
    soak_through(soak, given.threads, given.server_kills)
    for name, count in sorted(soak.met.items()):
        print(f"{count:5} {name}")
    upstream.stop()
    shutil.rmtree(folder)
    shutil.rmtree(data)
    print(f"{len(soak.wrong)} complaints")
    return 1 if soak.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
