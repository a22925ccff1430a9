"""What honest programs do besides computing works behind the wall: processes, threads, databases, local servers."""

import pytest

from .conftest import Caller

pytestmark = pytest.mark.anyio

POOL = """
import multiprocessing
def square(x): return x * x
with multiprocessing.Pool(4) as pool:
    print(pool.map(square, range(5)))
"""
MANAGER = """
import multiprocessing
def note(shared, number): shared[number] = number * number
with multiprocessing.Manager() as manager:
    shared = manager.dict()
    workers = [multiprocessing.Process(target=note, args=(shared, number)) for number in range(3)]
    for worker in workers: worker.start()
    for worker in workers: worker.join()
    print(sorted(shared.items()))
"""
SHARED_MEMORY = """
from multiprocessing import shared_memory
block = shared_memory.SharedMemory(create=True, size=1 << 20)
block.buf[:5] = b'hello'
other = shared_memory.SharedMemory(block.name)
print(bytes(other.buf[:5]))
other.close(); block.close(); block.unlink()
"""
EXECUTORS = """
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
for executor in (ThreadPoolExecutor(8), ProcessPoolExecutor(2)):
    with executor:
        print(sum(executor.map(abs, range(-9, 0))))
"""
JOBLIB = """
from joblib import Parallel, delayed
print(Parallel(n_jobs=2)(delayed(pow)(number, 2) for number in range(4)))
"""
THREADS = """
import queue, threading
done = queue.Queue()
threads = [threading.Thread(target=lambda: done.put(1)) for _ in range(16)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(done.qsize())
"""
SQLITE = """
import sqlite3
base = sqlite3.connect('/mnt/data/a.db')
base.execute('pragma journal_mode=wal')
base.execute('create table t (x)')
base.executemany('insert into t values (?)', [(number,) for number in range(100)])
base.commit()
print(sqlite3.connect('/mnt/data/a.db').execute('select sum(x) from t').fetchone())
"""
SUBPROCESS = """
import subprocess, sys
print(subprocess.run(['sort', '-r'], input='a\\nb\\n', capture_output=True, text=True).stdout.split())
with subprocess.Popen([sys.executable, '-c', 'print(input())'], stdin=-1, stdout=-1, text=True) as process:
    print(process.communicate('piped')[0].strip())
"""
LOCALHOST = """
import http.server, threading, urllib.request
import requests
open('page.txt', 'w').write('served')
class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args): pass
server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Quiet)
threading.Thread(target=server.serve_forever).start()
address = f'http://localhost:{server.server_port}/page.txt'
print(urllib.request.urlopen(address).read(), requests.get(address).text)
server.shutdown()
"""
SOCKETS = """
import asyncio, socket
left, right = socket.socketpair()
left.sendall(b'pair')
async def echo():
    async def answer(reader, writer):
        writer.write((await reader.read(9)).upper()); writer.close()
    async with await asyncio.start_unix_server(answer, '/tmp/echo'):
        reader, writer = await asyncio.open_unix_connection('/tmp/echo')
        writer.write(b'unix')
        return await reader.read()
print(right.recv(9), await echo())
"""
TEMPORARY = """
import pathlib, tempfile
with tempfile.TemporaryDirectory() as folder:
    pathlib.Path(folder, 'a').write_bytes(bytes(1 << 20))
    print(pathlib.Path(folder, 'a').stat().st_size, pathlib.Path.home().is_dir())
"""
MAPPED = """
import mmap, numpy
numpy.memmap('/mnt/data/big.npy', 'float64', 'w+', shape=(1000, 1000))[0, 0] = 7
print(numpy.memmap('/mnt/data/big.npy', 'float64')[0])
"""


@pytest.mark.parametrize(
    ("code", "said"),
    [
        pytest.param(POOL, "[0, 1, 4, 9, 16]\n", id="pool"),
        pytest.param(MANAGER, "[(0, 0), (1, 1), (2, 4)]\n", id="manager"),
        pytest.param(SHARED_MEMORY, "b'hello'\n", id="shared memory"),
        pytest.param(EXECUTORS, "45\n45\n", id="executors"),
        pytest.param(JOBLIB, "[0, 1, 4, 9]\n", id="joblib"),
        pytest.param(THREADS, "16\n", id="threads"),
        pytest.param(SQLITE, "(4950,)\n", id="sqlite"),
        pytest.param(SUBPROCESS, "['b', 'a']\npiped\n", id="subprocess"),
        pytest.param(LOCALHOST, "b'served' served\n", id="localhost"),
        pytest.param(SOCKETS, "b'pair' b'UNIX'\n", id="sockets"),
        pytest.param(TEMPORARY, "1048576 True\n", id="temporary files"),
        pytest.param(MAPPED, "7.0\n", id="memory map"),
    ],
)
async def test_it_works(caller: Caller, code: str, said: str) -> None:
    assert await caller.logs(code) == said
