"""Ingestion by the server: crashes, embedding models that are away, deletions side by side with searches."""

import random
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from threading import Thread

import anyio
import pytest
from openai import BadRequestError, NotFoundError, OpenAI
from sqlalchemy import select
from sqlalchemy.orm import Session

from tests.conftest import official_client
from tests.server_process import ServerProcess
from tests.vector_stores import CATS, LOOMS, TEA, filled_store, ready, upload, wait_for
from understudy import tables
from understudy.database import Database
from understudy.file_storage import FileStorage
from understudy.ingestion import Ingestion
from understudy.retrieval_folder import RetrievalFolder
from understudy.settings import Settings
from understudy.supervisor import Supervisor
from understudy.vector_stores import insert_store, new_files


def test_a_new_store_with_the_id_of_a_deleted_one(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "data", "--embedder", "none")
    with official_client(server) as client:
        file_id = upload(client, "a.txt", " ".join(f"word{number} zebra" for number in range(8000))).id

        def make() -> None:
            body = {"id": "vs_R", "name": "Again", "file_ids": [file_id]}
            client.post("/vector_stores", body=body, cast_to=object)

        make()
        for _ in range(15):
            assert ready(client, "vs_R").file_counts.completed == 1
            deletion = Thread(target=client.vector_stores.delete, args=("vs_R",))
            deletion.start()
            while True:
                try:
                    make()
                    break
                except BadRequestError:  # not yet deleted
                    continue
            deletion.join()
        assert ready(client, "vs_R").file_counts.completed == 1
        assert client.vector_stores.search("vs_R", query="zebra").data
    assert server.stop() == 0


def test_kill_and_go_on(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "data")
    with official_client(server) as client:
        long = " ".join(f"{LOOMS} {number}" for number in range(300))
        files = [upload(client, f"{number}.txt", f"Shelf{number} holds this. {long}").id for number in range(6)]
        store = client.vector_stores.create(name="Library", file_ids=files)
    for kill in range(3):
        with official_client(server) as client:
            wait_for(lambda: client.vector_stores.retrieve(store.id).file_counts.completed >= kill + 1)  # noqa: B023
        server.kill()
        server.start()
    with official_client(server) as client:
        done = ready(client, store.id)
        assert (done.file_counts.completed, done.file_counts.total) == (6, 6)
        for number, file_id in enumerate(files):
            best = client.vector_stores.search(store.id, query=f"shelf{number}", max_num_results=50).data
            assert best[0].file_id == file_id
            assert len({(result.file_id, result.content[0].text) for result in best}) == len(best)
    assert "Traceback" not in server.log()
    assert server.stop() == 0


def test_what_retrieval_lost_is_ingested_again(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "data")
    with official_client(server) as client:
        store, files = filled_store(client, LOOMS, CATS)
        gone, _ = filled_store(client, TEA)
    server.kill()
    # Deleted while retrieval could not be told, and lost while the tables could not.
    with closing(sqlite3.connect(server.data_dir / "understudy.db")) as database, database:
        database.execute("PRAGMA foreign_keys=ON")
        database.execute("DELETE FROM vector_stores WHERE id = ?", [gone.id])
    with closing(sqlite3.connect(server.data_dir / "retrieval" / "retrieval.db")) as database, database:
        database.execute("DELETE FROM members WHERE id = (SELECT min(id) FROM members)")
    server.start()
    wait_for(lambda: "1 files are ingested again" in server.log())
    with official_client(server) as client:
        assert ready(client, store.id).file_counts.completed == 2
        assert {result.file_id for result in client.vector_stores.search(store.id, query="loom")} == set(files)
    with closing(sqlite3.connect(server.data_dir / "retrieval" / "retrieval.db")) as database:
        assert database.execute("SELECT id FROM stores").fetchall() == [(store.id,)]
    assert server.stop() == 0


def test_a_deleted_file_is_never_found(client: OpenAI) -> None:
    """Files come and go at random while searches run; none finds what was gone when it was asked."""
    store = client.vector_stores.create(name="Library")
    generator = random.Random(7)
    gone: set[str] = set()
    faults: list[str] = []
    over = False

    def search() -> None:
        while not over:
            before = set(gone)
            found = {
                result.file_id for result in client.vector_stores.search(store.id, query="loom", max_num_results=50)
            }
            faults.extend(found & before)

    searches = [Thread(target=search) for _ in range(2)]
    for thread in searches:
        thread.start()
    there: list[str] = []
    try:
        for step in range(60):
            if generator.random() < 0.6 or not there:
                file_id = upload(client, "a.txt", f"{LOOMS} {step}").id
                client.vector_stores.files.create(store.id, file_id=file_id)
                there.append(file_id)
            else:
                file_id = there.pop(generator.randrange(len(there)))
                if generator.random() < 0.5:
                    client.files.delete(file_id)
                else:
                    client.vector_stores.files.delete(file_id, vector_store_id=store.id)
                gone.add(file_id)
    finally:
        over = True
        for thread in searches:
            thread.join()
    assert faults == []
    assert ready(client, store.id).file_counts.completed == len(there)
    found = client.vector_stores.search(store.id, query="loom", max_num_results=50)
    assert {result.file_id for result in found} == set(there)


def test_a_store_that_is_deleted_while_it_fills(client: OpenAI, server: ServerProcess) -> None:
    for _ in range(3):
        files = [upload(client, f"{number}.txt", f"{LOOMS} {number} " * 50).id for number in range(4)]
        store = client.vector_stores.create(name="Library", file_ids=files)
        client.vector_stores.delete(store.id)
        with pytest.raises(NotFoundError):
            client.vector_stores.retrieve(store.id)
    with closing(sqlite3.connect(server.data_dir / "retrieval" / "retrieval.db")) as database:
        wait_for(lambda: store.id not in dict.fromkeys(row[0] for row in database.execute("SELECT id FROM stores")))
    assert "Traceback" not in server.log()


class _House:
    """What ingestion works with, without HTTP."""

    def __init__(self, folder: Path, supervisor: Supervisor, embedder: str) -> None:
        settings = replace(Settings(), data_dir=folder, upstream="http://127.0.0.1:9/v1", embedder=embedder)
        self.database = Database(settings.database)
        self.database.migrate()
        self.storage = FileStorage(folder)
        self.folder = RetrievalFolder(settings, supervisor)
        self.ingestion = Ingestion(self.database, self.storage, self.folder, supervisor)


@pytest.fixture
async def house(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[_House]:
    supervisor = Supervisor()
    house = _House(tmp_path, supervisor, getattr(request, "param", "none"))
    async with supervisor:
        yield house
    await house.folder.aclose()
    house.database.close()


async def _store(house: _House, *texts: str) -> str:
    """A store with a file of each text, not yet ingested."""

    def work(session: Session) -> str:
        for number, text in enumerate(texts):
            file_id = f"file-{number}"
            session.add(tables.File(id=file_id, created_at=1, purpose="assistants", filename="a.txt", bytes=len(text)))
            house.storage.path(file_id).write_text(text)
        session.flush()
        return insert_store(session, new_files(f"file-{number}" for number in range(len(texts)))).id

    return await house.database.write(work)


async def _files(house: _House) -> list[tables.VectorStoreFile]:
    return await house.database.read(lambda session: list(session.scalars(select(tables.VectorStoreFile))))


@pytest.mark.anyio
@pytest.mark.parametrize("house", ["upstream:away"], indirect=True)
async def test_an_embedding_model_that_is_away(
    house: _House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("understudy.ingestion._PAUSES", (0.0, 0.0))
    monkeypatch.setattr("understudy.embeddings_upstream._RETRIES", 0)
    store_id = await _store(house, LOOMS, CATS)
    house.ingestion.start()
    with anyio.fail_after(20):
        await house.ingestion.wait([store_id], 20)
    for file in await _files(house):
        assert file.status == "failed"
        assert file.last_error is not None
        assert file.last_error["code"] == "server_error"
        assert "http://127.0.0.1:9 is unreachable" in file.last_error["message"]
    assert caplog.text.count("waits for the embedding model") == 4


@pytest.mark.anyio
async def test_waiting_ends_when_its_time_is_over(house: _House) -> None:
    store_id = await _store(house, LOOMS)
    with anyio.fail_after(5):
        await house.ingestion.wait([store_id], 0.05)  # nothing was started
        await house.ingestion.wait(["vs_none"], 60)
    assert [file.status for file in await _files(house)] == ["in_progress"]


@pytest.mark.anyio
async def test_a_content_that_is_gone(house: _House, caplog: pytest.LogCaptureFixture) -> None:
    store_id = await _store(house, LOOMS)
    house.storage.path("file-0").unlink()
    house.ingestion.start()
    await house.ingestion.wait([store_id], 20)
    (file,) = await _files(house)
    assert (file.status, (file.last_error or {})["code"]) == ("failed", "server_error")
    assert "file-0 could not be ingested" in caplog.text
