"""`make bench`: the code interpreter beside plain Jupyter kernels of the same run. Nothing is asserted.

    bench/sandbox.py [--write FILE]

A plain kernel is ipykernel as jupyter_client starts it, of the same Python, with no wall; rounds are interleaved.
"""

import asyncio
import tempfile
import time
from collections import defaultdict
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import median, quantiles
from subprocess import DEVNULL
from typing import Self

from jupyter_client.manager import AsyncKernelManager
from processes import Client, Process, understudy
from table import Table, append, place

from understudy_sandbox import Logs, Output, Sandbox, SandboxLimits
from understudy_sandbox.processes import proportional, tree

ROUNDS, ROUND_TRIPS, BESIDE = 9, 200, 4
PACKAGES = ("ipykernel", "jupyter_client", "pyzmq", "pandas", "matplotlib", "numpy")
ADD = "1 + 1"
IMPORT = "import pandas as pd, matplotlib.pyplot as plt"
PLOT = f"{IMPORT}\nfigure = plt.plot([1, 2])\nplt.savefig('figure.png')"
CSV_NAME = "sales.csv"
CSV = f"import pandas as pd\npd.read_csv({CSV_NAME!r})['revenue'].sum()"
SALES = "region,revenue\n" + "".join(f"north,{number}\n" for number in range(1000))
RUN = f"import io\n{CSV.replace(repr(CSV_NAME), f'io.StringIO({SALES!r})')}"
INTRODUCTION = """
## Code interpreter

`bench/sandbox.py` measures the code interpreter behind this machine's wall beside plain kernels of the same run:
ipykernel as jupyter_client starts it, of the same Python, rounds interleaved, medians. A jail that waits has imported
pandas and pyplot before it is handed out; without one, a thread's first code waits for a cold start. Memory is PSS, in
millions of bytes: what several share is divided among them, so that a kernel is larger alone than among others.

"""


class Plain:
    """A kernel without a wall."""

    async def start(self, folder: Path, *, patiently: bool = False) -> Self:
        """Start; `patiently` waits as jupyter_client's own users do, where the first request could be sent at once."""
        self._manager = AsyncKernelManager()
        await self._manager.start_kernel(cwd=str(folder), stderr=DEVNULL)
        self._client = self._manager.client()
        self._client.start_channels()
        if patiently:
            await self._client.wait_for_ready(timeout=60)
        return self

    async def __call__(self, code: str) -> str:
        """Run code; the value of its last line."""
        *statements, value = code.split("\n")
        request = self._client.execute("\n".join(statements), user_expressions={"value": value})
        while True:
            reply = await self._client.get_shell_msg(timeout=60)
            if reply["parent_header"]["msg_id"] == request:
                return reply["content"]["user_expressions"]["value"]["data"]["text/plain"]

    def memory(self) -> float:
        """MB (PSS)."""
        return proportional(tree(self._manager.provisioner.pid)) / 1e6

    async def stop(self) -> None:
        self._client.stop_channels()
        await self._manager.shutdown_kernel(now=True)


class Ours:
    """A session behind the wall."""

    def __init__(self, sandbox: Sandbox, key: str) -> None:
        self._sandbox = sandbox
        self._key = key

    async def start(self, folder: Path) -> Self:
        """Nothing runs before the first call; the files are there, as the thread's are."""
        self._session = await self._sandbox.session(self._key)
        await self._session.add_file(CSV_NAME, folder / CSV_NAME)
        return self

    async def __call__(self, code: str) -> str:
        said: list[str] = []

        async def hear(output: Output) -> None:
            said.append(output.text if isinstance(output, Logs) else output.media_type)

        result = await self._session.execute(code, hear)
        if result.status != "ok":
            raise RuntimeError(f"{result.status}: {said}")
        return "".join(said)

    def memory(self) -> float:
        """MB (PSS), the wall's own processes included."""
        kernel = self._session.kernel
        assert kernel is not None
        return proportional(tree(kernel.pid)) / 1e6

    async def stop(self) -> None:
        await self._sandbox.discard(self._key)


class Bench:
    """Kernels of both kinds, and the table."""

    def __init__(self, sandbox: Sandbox, pool: Sandbox, folder: Path, table: Table) -> None:
        self._sandbox = sandbox
        self._pool = pool
        self._folder = folder
        self._table = table
        self._number = 0

    def _ours(self, sandbox: Sandbox | None = None) -> Ours:
        self._number += 1
        return Ours(sandbox or self._sandbox, str(self._number))

    async def measure(self) -> None:
        await self.cold()
        await self.warm()
        await self.round_trips()
        await self.memory()

    async def cold(self) -> None:
        """From nothing to the first result."""
        seconds: dict[str, list[float]] = defaultdict(list)
        for _ in range(ROUNDS):
            for code in (ADD, CSV):
                for name, kernel, how in (
                    ("ours", self._ours(), {}),
                    ("plain", Plain(), {}),
                    ("patient", Plain(), {"patiently": True}),
                ):
                    started = time.perf_counter()
                    await kernel.start(self._folder, **how)
                    await kernel(code)
                    seconds[name + code].append((time.perf_counter() - started) * 1000)
                    await kernel.stop()
        for code, what, aim in ((ADD, "`1 + 1`", "≤ 1.2 times"), (CSV, "first CSV with pandas", "")):
            ours, plain, patient = (median(seconds[name + code]) for name in ("ours", "plain", "patient"))
            self._table.row(f"cold start to {what}", "ms", ours, plain, "plain kernel", aim)
            self._table.row("…", "ms", ours, patient, "plain kernel, `wait_for_ready`")

    async def warm(self) -> None:
        """From a jail that waits to its first results."""
        seconds: dict[str, list[float]] = defaultdict(list)
        async with asyncio.TaskGroup() as group:
            watch = group.create_task(self._pool.watch())
            for _ in range(ROUNDS):
                self._pool.expect()
                while not self._pool.waiting:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
                for name, kernel in (("ours", self._ours(self._pool)), ("plain", Plain())):
                    started = time.perf_counter()
                    await kernel.start(self._folder)
                    seconds[f"{name} hand-out"].append((time.perf_counter() - started) * 1000)
                    await kernel(CSV)
                    seconds[f"{name} CSV"].append((time.perf_counter() - started) * 1000)
                    started = time.perf_counter()
                    await kernel(PLOT)
                    seconds[f"{name} figure"].append((time.perf_counter() - started) * 1000)
                    await kernel.stop()
            watch.cancel()
        middle = {name: median(values) for name, values in seconds.items()}
        for what, figure, baseline, aim in (
            ("hand-out", "warm hand-out, one file copied in", "plain kernel, its start alone", ""),
            ("CSV", "… and first CSV with pandas", "plain kernel, from cold", "≤ 40 ms"),
            ("figure", "then the first figure", "plain kernel", ""),
        ):
            self._table.row(figure, "ms", middle[f"ours {what}"], middle[f"plain {what}"], baseline, aim)

    async def round_trips(self) -> None:
        ours, plain = await self._ours().start(self._folder), await Plain().start(self._folder)
        seconds: dict[str, list[float]] = defaultdict(list)
        for _ in range(ROUND_TRIPS):
            for name, kernel in (("ours", ours), ("plain", plain)):
                started = time.perf_counter()
                await kernel(ADD)
                seconds[name].append((time.perf_counter() - started) * 1000)
        await ours.stop()
        await plain.stop()
        both = [seconds[name][ROUND_TRIPS // 10 :] for name in ("ours", "plain")]
        self._table.row("round trip of `1 + 1`, p50", "ms", *map(median, both), "plain kernel", "≤ 8 ms")
        self._table.row("… p95", "ms", *(quantiles(found, n=20)[-1] for found in both), "plain kernel")

    async def memory(self) -> None:
        """What a kernel costs while nobody uses it: alone, and beside others of its kind, which share its libraries."""
        for code, what, aim in (("None", "", ""), (f"{IMPORT}\nNone", ", pandas and pyplot imported", "≤ 100 MB")):
            found = {}
            for name in ("ours", "plain"):
                async with AsyncExitStack() as stack:
                    kernels = []
                    for count in range(1, BESIDE + 1):
                        kernel = self._ours() if name == "ours" else Plain()
                        kernels.append(await kernel.start(self._folder))
                        stack.push_async_callback(kernel.stop)
                        await kernel(code)
                        if count in (1, BESIDE):
                            await asyncio.sleep(0.5)
                            found[name, count] = median(kernel.memory() for kernel in kernels)
            for count, where in ((1, "alone"), (BESIDE, f"one of {BESIDE}")):
                both = found["ours", count], found["plain", count]
                self._table.row(f"idle kernel{what}, {where} (PSS)", "MB", *both, "plain kernel", aim)


async def through_api(table: Table, folder: Path) -> None:
    """The first code of a thread: from the request for a run to the code's output, with a jail that waits or none."""
    seconds: dict[str, list[float]] = defaultdict(list)
    servers = {warm: understudy(folder / f"warm{warm}", "--sandbox-warm", warm) for warm in ("1", "0")}
    try:
        for server in servers.values():
            server.ready("GET", "/health")
        for _ in range(ROUNDS + 1):
            for warm, server in servers.items():
                seconds[warm].append(await first_output(server) * 1000)
            await asyncio.sleep(2.5)
    finally:
        for server in servers.values():
            server.stop()
    warm, cold = (median(seconds[warm][1:]) for warm in ("1", "0"))
    table.row("a thread's first code through the API, CSV with pandas", "ms", warm, cold, "`--sandbox-warm 0`")


async def first_output(server: Process) -> float:
    async with Client(server.port) as client:
        tools = {"tools": [{"type": "code_interpreter"}]}
        assistant = (await client.ask("POST", "/v1/assistants", {"model": "offline", **tools}))["id"]
        message = {"role": "user", "content": f"Run this:\n```python\n{RUN}\n```"}
        thread = (await client.ask("POST", "/v1/threads", {"messages": [message]}))["id"]
        body = {"assistant_id": assistant, "stream": True}
        return await client.stream(f"/v1/threads/{thread}/runs", body, b'"logs":"', b"event: thread.run.completed")


async def measure(table: Table, folder: Path, root: Path) -> None:
    sandbox, pool = Sandbox(root=root / "cold", limits=SandboxLimits(warm=0)), Sandbox(root=root / "warm")
    try:
        verdict = await sandbox.probe()
        if verdict.hint:
            raise SystemExit(verdict.hint)
        await Bench(sandbox, pool, folder, table).measure()
    finally:
        await sandbox.aclose()
        await pool.aclose()
    await through_api(table, root)


def main() -> None:
    page, table = place(__doc__), Table()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "files")
        folder.mkdir()
        (folder / CSV_NAME).write_text(SALES)
        asyncio.run(measure(table, folder, Path(name, "sandbox")))
    append(page, INTRODUCTION, table, *PACKAGES)


if __name__ == "__main__":
    main()
