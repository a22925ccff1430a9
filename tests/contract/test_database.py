"""The schema: migrations make what the tables say, a newer database is refused, an older one is kept."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, create_mock_engine

import understudy
from tests.conftest import official_client
from tests.server_process import ServerProcess
from understudy import tables
from understudy.database import SCHEMA_VERSION, Database, _upgrade


@pytest.mark.parametrize("way", ["created at once", "migrated"])
def test_the_schema_is_that_of_the_tables(way: str, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'a.db'}"
    engine = create_engine(url)
    if way == "migrated":
        with engine.begin() as connection:
            _upgrade(connection)
    for _ in range(2):
        database = Database(url)
        database.migrate()
        database.close()
    with engine.connect() as connection:
        context = MigrationContext.configure(connection)
        assert context.get_current_revision() == SCHEMA_VERSION
        assert compare_metadata(context, tables.Base.metadata) == []
    engine.dispose()


def test_the_version_is_that_of_the_newest_migration() -> None:
    scripts = ScriptDirectory(str(Path(understudy.__file__).parent / "migrations"))
    assert scripts.get_current_head() == SCHEMA_VERSION


def test_a_newer_database_is_refused_and_kept(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "data")
    with official_client(server) as client:
        thread = client.beta.threads.create(metadata={"a": "1"})
    assert server.stop() == 0
    file = server.data_dir / "understudy.db"
    _set_version(file, "9999")
    command = [sys.executable, "-m", "understudy", "serve", "--port", "0", "--data-dir", str(server.data_dir)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    assert "schema version 9999" in done.stderr.strip().splitlines()[-1]
    _set_version(file, SCHEMA_VERSION)
    server.start()
    with official_client(server) as client:
        assert client.beta.threads.retrieve(thread.id) == thread
    assert server.stop() == 0


def test_an_older_database_is_upgraded_and_kept(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "data")
    with official_client(server) as client:
        file = client.files.create(file=("a.txt", b"x"), purpose="assistants")
        store = client.vector_stores.create(name="Kept")
    assert server.stop() == 0
    database = server.data_dir / "understudy.db"
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("DROP TABLE upload_parts")
        connection.execute("DROP TABLE uploads")
        connection.execute("ALTER TABLE runs DROP COLUMN position")
    _set_version(database, "0002")
    server.start()
    with official_client(server) as client:
        assert client.files.retrieve(file.id) == file
        assert client.vector_stores.retrieve(store.id) == store
        upload = client.uploads.create(bytes=0, filename="a.txt", mime_type="text/plain", purpose="batch")
        assert client.uploads.complete(upload.id, part_ids=[]).status == "completed"
    assert server.stop() == 0


def _set_version(file: Path, version: str) -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", [version])


@pytest.mark.parametrize("url", ["sqlite://", "postgresql://"])
def test_partial_indexes_are_partial_everywhere(url: str) -> None:
    statements: list[str] = []

    def keep(statement: Any, *_: object) -> None:
        statements.append(str(statement.compile(dialect=engine.dialect)))

    engine = create_mock_engine(url, keep)
    tables.Base.metadata.create_all(engine, checkfirst=False)
    conditions = [one.partition(" WHERE ")[2] for one in statements if " WHERE " in one]
    assert conditions == [tables.ACTIVE_RUN.text, "status = 'in_progress'"]


def test_a_row_has_its_defaults_before_it_is_stored() -> None:
    first, second = (tables.Thread(id=name, created_at=1) for name in ("thread_1", "thread_2"))
    assert (first.metadata_, first.tool_resources) == ({}, {})
    first.metadata_["a"] = "b"
    assert second.metadata_ == {}, "two rows share a default"
    with pytest.raises(TypeError, match="Thread has no metadata"):
        tables.Thread(id="thread_3", metadata={})
