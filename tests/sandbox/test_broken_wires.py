"""A kernel that dies in the midst of its messages does not take the server along."""

import subprocess
import sys
from pathlib import Path

SERVER = """
import asyncio, sys
from pathlib import Path
from understudy_sandbox import Sandbox

DYING = '''
import os, threading
from ipykernel.kernelapp import IPKernelApp
kernel = IPKernelApp.instance().kernel
threading.Timer(0.2, os._exit, (1,)).start()
while True:
    told = {'name': 'stdout', 'text': '.'}
    kernel.session.send(kernel.iopub_socket, 'stream', told, kernel.get_parent(), buffers=[b'x'] * 150)
'''

async def ignore(output):
    pass

async def main():
    sandbox = Sandbox(root=Path(sys.argv[1]))
    session = await sandbox.session("a")
    for _ in range(4):
        print((await session.execute(DYING, ignore)).status, flush=True)
    await sandbox.aclose()

asyncio.run(main())
"""


def test_a_wire_that_breaks_between_the_parts_of_a_message(tmp_path: Path) -> None:
    """ZeroMQ reads a message part by part, and aborts its process where a part has gone with the connection."""
    done = subprocess.run(
        [sys.executable, "-c", SERVER, tmp_path], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr, done.stdout.split()) == (0, "", ["died"] * 4)
