"""Large stores: Chroma as their index, and what becomes of a search when it is broken, behind or gone."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from tests.retrieval.folders import ingest, member, opened, prose, until
from tests.retrieval.hashing import HashingEmbedder
from understudy_retrieval import Member, Retrieval
from understudy_retrieval.index_process import IndexProcess
from understudy_retrieval.store_view import ViewCache

pytestmark = pytest.mark.anyio
QUERIES = ["the zeppelin of Friedrichshafen", "badra kofen", "ligis mutol nedra", "rofen"]


@pytest.fixture(autouse=True)
def small_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store of more than 40 windows gets an index."""
    for module in ("store_view", "index_keeper", "search"):
        monkeypatch.setattr(f"understudy_retrieval.{module}.EXACT_WINDOWS", 40)


@pytest.fixture
async def retrieval(tmp_path: Path) -> AsyncIterator[Retrieval]:
    async with opened(tmp_path / "retrieval", HashingEmbedder()) as retrieval:
        yield retrieval


async def fill(retrieval: Retrieval, folder: Path, files: int = 8) -> list[Member]:
    members = [member(f"file-{number}") for number in range(files)]
    for number, one in enumerate(members):
        await ingest(retrieval, folder, prose(700, "the zeppelin of Friedrichshafen", seed=number), one)
    return members


def indexed(retrieval: Retrieval) -> bool:
    store = retrieval._store.store("vs_a")
    return store is not None and all(row.indexed for row in retrieval._store.members(store))


async def answers(retrieval: Retrieval) -> list[tuple[int, int, float]]:
    hits = [hit for query in QUERIES for hit in await retrieval.search(["vs_a"], [query], limit=5)]
    return [(hit.member_id, hit.chunk, round(hit.score, 2)) for hit in hits]


async def exact_answers(retrieval: Retrieval, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int, float]]:
    with monkeypatch.context() as patch:
        patch.setattr("understudy_retrieval.store_view.EXACT_WINDOWS", 10**6)
        retrieval._views = ViewCache()
        found = await answers(retrieval)
    retrieval._views = ViewCache()
    return found


async def test_the_index_finds_what_an_exact_search_finds(
    retrieval: Retrieval, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = await fill(retrieval, tmp_path)
    await until(lambda: indexed(retrieval))
    assert await answers(retrieval) == await exact_answers(retrieval, monkeypatch)
    wanted = [one.id for one in members[:6]]
    for query in QUERIES:
        hits = await retrieval.search(["vs_a"], [query], limit=50, members=wanted)
        assert {hit.member_id for hit in hits} <= set(wanted)
        few = await retrieval.search(["vs_a"], [query], limit=50, members=wanted[:1])
        assert {hit.member_id for hit in few} == {wanted[0]}


async def test_a_removed_file_leaves_the_index(retrieval: Retrieval, tmp_path: Path) -> None:
    members = await fill(retrieval, tmp_path)
    await until(lambda: indexed(retrieval))
    for one in members[:4]:
        await retrieval.remove_member(one.id)
        hits = await retrieval.search(["vs_a"], QUERIES, limit=50)
        assert one.id not in {hit.member_id for hit in hits}
    await until(lambda: not retrieval._store.garbage())
    store = retrieval._store.store("vs_a")
    assert store is not None
    assert retrieval._index.count(store) == sum(-(-row.tokens // 200) for row in retrieval._store.members(store))


async def test_a_removed_store_leaves_no_files(retrieval: Retrieval, tmp_path: Path) -> None:
    await fill(retrieval, tmp_path)
    await until(lambda: indexed(retrieval))
    chroma = tmp_path / "retrieval/chroma"
    before = {path.name for path in chroma.iterdir() if path.is_dir()}
    assert before
    await retrieval.remove_store("vs_a")
    await until(lambda: not retrieval._store.garbage())
    assert retrieval._index.names() == []
    assert not {path.name for path in chroma.iterdir() if path.is_dir()}


DAMAGES: dict[str, Callable[[Path], object]] = {
    "no folder": shutil.rmtree,
    "no database": lambda chroma: (chroma / "chroma.sqlite3").unlink(),
    "a broken database": lambda chroma: (chroma / "chroma.sqlite3").write_bytes(b"not a database" * 1000),
    "a broken graph": lambda chroma: [path.write_bytes(b"?" * 100) for path in chroma.glob("*/*.bin")],
}


@pytest.mark.parametrize("damage", DAMAGES)
async def test_a_broken_index_is_built_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str) -> None:
    root = tmp_path / "retrieval"
    async with opened(root, HashingEmbedder()) as retrieval:
        await fill(retrieval, tmp_path)
        await until(lambda: indexed(retrieval))
        expected = await answers(retrieval)
    DAMAGES[damage](root / "chroma")
    async with opened(root, HashingEmbedder()) as retrieval:
        assert await answers(retrieval) == expected  # whatever state the index is in
        store = retrieval._store.store("vs_a")
        assert store is not None
        windows = sum(-(-row.tokens // 200) for row in retrieval._store.members(store))
        await until(lambda: indexed(retrieval) and retrieval._index.count(store) == windows)
        assert await answers(retrieval) == expected
        assert await exact_answers(retrieval, monkeypatch) == expected


async def test_an_index_that_fails_while_it_is_asked(
    retrieval: Retrieval, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(retrieval, tmp_path)
    await until(lambda: indexed(retrieval))
    expected = await answers(retrieval)

    def fail(*_: object) -> None:
        raise RuntimeError("Failed to apply logs to the hnsw segment writer")

    monkeypatch.setattr(retrieval._index, "query", fail)
    assert await answers(retrieval) == expected


async def test_an_index_process_that_is_killed(retrieval: Retrieval, tmp_path: Path) -> None:
    await fill(retrieval, tmp_path)
    await until(lambda: indexed(retrieval))
    expected = await answers(retrieval)
    assert isinstance(retrieval._index, IndexProcess)
    assert retrieval._index._process is not None
    retrieval._index._process.kill()
    assert await answers(retrieval) == expected
    assert retrieval._index.names() == ["vs_a.1"]
    assert await answers(retrieval) == expected


@pytest.fixture
def chroma_server(tmp_path: Path) -> Iterator[str]:
    """A real `chroma run`."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [os.path.join(os.path.dirname(sys.executable), "chroma"), "run", "--port", str(port)]
    process = subprocess.Popen(
        [*command, "--path", str(tmp_path / "server")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            break
        time.sleep(0.05)
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait()


async def test_a_chroma_server_in_its_place(
    chroma_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "retrieval"
    async with opened(root, HashingEmbedder(), chroma_server) as retrieval:
        members = await fill(retrieval, tmp_path)
        await until(lambda: indexed(retrieval))
        assert not (root / "chroma").exists()
        expected = await exact_answers(retrieval, monkeypatch)
        assert await answers(retrieval) == expected
        await retrieval.remove_member(members[0].id)
        await until(lambda: not retrieval._store.garbage())
    async with opened(root, HashingEmbedder(), chroma_server) as retrieval:
        hits = await retrieval.search(["vs_a"], QUERIES, limit=50)
        assert members[0].id not in {hit.member_id for hit in hits}
        assert len(retrieval._index.names()) == 1
        await retrieval.remove_store("vs_a")
        await until(lambda: not retrieval._store.garbage())
        assert retrieval._index.names() == []


async def test_a_chroma_server_that_is_away(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    async with opened(tmp_path / "retrieval", HashingEmbedder(), f"http://127.0.0.1:{port}") as retrieval:
        await fill(retrieval, tmp_path, 2)
        assert await answers(retrieval)
