"""`make bench`: Understudy beside baselines of the same run, rounds interleaved, medians. Nothing is asserted.

`--write FILE` writes the page docs/benchmarks.md as well.
"""

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from statistics import median
from typing import NamedTuple

import uvloop
from processes import Client, Process, understudy
from table import Table, machine

SHORT, LONG, PACED = 20, 2000, 500
PACKAGES = ("understudy", "fastapi", "starlette", "uvicorn", "httpx", "pydantic", "sqlalchemy")
PAGE = """# Benchmarks

`make bench` measures these again; `.venv/bin/python bench/server.py --write docs/benchmarks.md` writes this page.
Every figure stands beside a baseline of the same run, as machines differ: look at the ratios. Rounds are interleaved,
figures are medians, CPU is the user and system time of that server's process alone. The upstream is a local stand-in
in a process of its own, which sends every token as a chunk of its own; the bare relay passes its bytes on unread
(httpx in, Starlette out): what the frameworks cost whatever we do.

"""
READING = """
Read it so: the aim of 25 µs a token holds where tokens come in bursts; where each comes alone, waking up for it costs
the bare relay as much as it costs us, so the aim is missed with these libraries whatever the run engine does.
"""


class Spent(NamedTuple):
    """Of one measure: CPU of the server for each item (µs), items a second, what each item returned."""

    cpu: float
    rate: float
    results: list[float]


def start_ups(table: Table, folder: Path) -> None:
    """From a process's start to its first answer."""
    seconds: dict[str, list[float]] = defaultdict(list)
    for number in range(7):
        for kind in ("fresh", "existing"):
            server = understudy(folder / f"start{number}")
            seconds[kind].append(server.ready())
            seconds[f"{kind} cpu"].append(server.cpu())
            seconds["health"].append(server.ready("GET", "/health"))
            server.stop()
        for code in ("pass", "import fastapi, uvicorn, sqlalchemy.orm"):
            before = os.times()
            subprocess.run([sys.executable, "-c", code], check=True)
            spent = [after - earlier for after, earlier in zip(os.times(), before, strict=True)]
            seconds[code[:6]].append(spent[4])
            seconds[f"{code[:6]} cpu"].append(spent[2] + spent[3])
    middle = {name: median(values) for name, values in seconds.items()}
    imports, imports_cpu, what = middle["import"], middle["import cpu"], "the frameworks' import"
    for kind in ("fresh", "existing"):
        table.row(f"ready, {kind} data folder", "s", middle[kind], imports, what, "< 1 s")
        table.row("… CPU", "s", middle[f"{kind} cpu"], imports_cpu, what)
    table.row("until `/health`, which waits for the wall's probe", "s", middle["health"], imports, what)
    table.row("bare Python", "s", middle["pass"], imports, what)


class Bench:
    """An Understudy and a bare relay, both in front of the same upstream."""

    def __init__(self, folder: Path) -> None:
        here = Path(__file__).parent
        self.upstream = Process(folder / "upstream.log", str(here / "upstream_process.py"), "{port}")
        url = f"http://127.0.0.1:{self.upstream.port}/v1"
        self.server = understudy(folder / "data", "--upstream", url)
        self.baseline = Process(folder / "baseline.log", str(here / "baseline_process.py"), "{port}", url)
        self.server.ready("GET", "/health")
        self.baseline.ready()

    async def runs(self, count: int, model: str, *, at_once: int = 1, poll: bool = False) -> Spent:
        """Runs, each of a fresh thread; each returns its time to the first token."""
        message = {"role": "user", "content": "How does a loom work?"}
        async with Client(self.server.port) as client:
            body = {"model": model, "instructions": "You are a helpful assistant."}
            body = {"assistant_id": (await client.ask("POST", "/v1/assistants", body))["id"], "stream": not poll}
            threads = [(await client.ask("POST", "/v1/threads", {"messages": [message]}))["id"] for _ in range(count)]

        async def one(client: Client, thread: str) -> float:
            path = f"/v1/threads/{thread}/runs"
            if not poll:
                return await client.stream(path, body, b"event: thread.message.delta", b"event: thread.run.completed")
            path += f"/{(await client.ask('POST', path, body))['id']}"
            while (await client.ask("GET", path))["status"] != "completed":  # noqa: ASYNC110
                await asyncio.sleep(0.2)  # what the header openai-poll-after-ms says
            return 0.0

        return await spend(self.server, at_once, one, threads)

    async def relays(self, count: int, model: str, *, at_once: int = 1, of: Process | None = None) -> Spent:
        """The same through the relay, or `of` the upstream itself."""
        body = {"model": model, "stream": True, "messages": [{"role": "user", "content": "How does a loom work?"}]}

        async def one(client: Client, _: str) -> float:
            return await client.stream("/v1/chat/completions", body, b'"content": "word', b"[DONE]")

        return await spend(of or self.baseline, at_once, one, [""] * count)

    async def measure(self, table: Table) -> None:
        await self.memory(table)
        await self.first_token(table)
        await self.cpu(table)
        await self.requests(table)

    async def memory(self, table: Table) -> None:
        fresh, bare = self.server.memory("Rss"), self.baseline.memory("Rss")
        table.row("resident memory after a first start", "MB", fresh, bare, "bare relay", "< 100 MB")
        await self.runs(50, f"{SHORT}x0")
        await self.relays(50, f"{SHORT}x0")
        for kind, aim in (("Rss", "< 100 MB"), ("Pss", "")):
            both = self.server.memory(kind), self.baseline.memory(kind)
            table.row(f"… after 50 text runs ({kind.upper()})", "MB", *both, "bare relay", aim)

    async def first_token(self, table: Table) -> None:
        found = await interleaved(
            100, ours=partial(self.runs, 1, "5x5"), direct=partial(self.relays, 1, "5x5", of=self.upstream)
        )
        ours, direct = (median(spent.results[0] * 1000 for spent in found[name]) for name in ("ours", "direct"))
        aim = f"+{ours - direct:.1f} ms: < 10 ms"
        table.row("time to the first token, p50", "ms", ours, direct, "the upstream itself", aim)

    async def cpu(self, table: Table) -> None:
        sides = {"streamed": self.runs, "polled": partial(self.runs, poll=True, at_once=10), "relay": self.relays}
        measures = {}
        for name, side in sides.items():
            measures[f"{name} short"] = partial(side, 40, f"{SHORT}x0")
            measures[f"{name} long"] = partial(side, 10, f"{LONG}x0")
            measures[f"{name} paced"] = partial(side, 8, f"{PACED}x2", at_once=8)
        found = await interleaved(5, **measures)
        each, paced, fixed = {}, {}, {}
        for name in sides:
            short, long, slow = (
                [spent.cpu for spent in found[f"{name} {kind}"]] for kind in ("short", "long", "paced")
            )
            each[name] = median((more - less) / (LONG - SHORT) for more, less in zip(long, short, strict=True))
            paced[name] = median((more - less) / (PACED - SHORT) for more, less in zip(slow, short, strict=True))
            fixed[name] = median(short) - SHORT * each[name]
        for name in ("streamed", "polled"):
            table.row(f"CPU per run, {name}", "ms", fixed[name] / 1000, fixed["relay"] / 1000, "bare relay")
        for name in ("streamed", "polled"):
            table.row(f"CPU per token, {name}, all at once", "µs", each[name], each["relay"], "bare relay", "≤ 25 µs")
        for name in ("streamed", "polled"):
            what = f"CPU per token, {name}, one every 2 ms"
            table.row(what, "µs", paced[name], paced["relay"], "bare relay", "≤ 25 µs")

    async def requests(self, table: Table) -> None:
        async with Client(self.server.port) as client:
            thread = (await client.ask("POST", "/v1/threads", {}))["id"]
        for method, path, body in (("GET", f"/v1/threads/{thread}", None), ("POST", "/v1/threads", {})):

            async def one(client: Client, _: str, asked: tuple = (method, path, body)) -> float:
                await client.ask(*asked)
                return 0.0

            ours, bare = (
                partial(spend, self.server, 8, one, [""] * 800),
                partial(spend, self.baseline, 8, one, [""] * 4000),
            )
            found = await interleaved(5, ours=ours, bare=bare)
            for index, unit in ((1, "/s"), (0, "µs CPU")):
                both = (median(spent[index] for spent in found[name]) for name in ("ours", "bare"))
                table.row(f"{method} of a thread, 8 connections", unit, *both, "bare Starlette")


async def spend(process: Process, at_once: int, one: Callable, items: list[str]) -> Spent:
    """Work the items off with so many connections."""
    rest, results = iter(items), []

    async def work(client: Client) -> None:
        for item in rest:
            results.append(await one(client, item))  # noqa: PERF401

    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(Client(process.port)) for _ in range(at_once)]
        before, started = process.cpu(), time.perf_counter()
        await asyncio.gather(*map(work, clients))
        cpu, seconds = process.cpu() - before, time.perf_counter() - started
    return Spent(cpu / len(items) * 1e6, len(items) / seconds, results)


async def interleaved(rounds: int, **measures: Callable[[], Awaitable[Spent]]) -> dict[str, list[Spent]]:
    """A B A B …: what disturbs the machine disturbs all of them."""
    found: dict[str, list[Spent]] = {name: [] for name in measures}
    for _ in range(rounds):
        for name, measure in measures.items():
            found[name].append(await measure())
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the page as well")
    options = parser.parse_args()
    table = Table()
    with tempfile.TemporaryDirectory() as name:
        start_ups(table, Path(name))
        bench = Bench(Path(name))
        try:
            uvloop.run(bench.measure(table))
        finally:
            for process in (bench.server, bench.baseline, bench.upstream):
                process.stop()
    if options.write:
        options.write.write_text(PAGE + machine(*PACKAGES) + "\n".join(table.lines) + "\n" + READING)


if __name__ == "__main__":
    main()
