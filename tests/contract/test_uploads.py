"""/uploads through the official client: order, checksums, refusals, an hour's life, restarts and crashes."""

import hashlib
import os
import re
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI
from openai.types import Upload

from tests.conftest import official_client
from tests.server_process import ServerProcess
from tests.vector_stores import wait_for

MB = 1024**2
_INVALID = "invalid_value"


def _begin(client: OpenAI, size: int, **options: Any) -> Upload:
    options = {"filename": "data.jsonl", "mime_type": "text/jsonl", "purpose": "fine-tune"} | options
    return client.uploads.create(bytes=size, **options)


def _add(client: OpenAI, upload: Upload, *contents: bytes) -> list[str]:
    return [client.uploads.parts.create(upload.id, data=content).id for content in contents]


def _files_of(client: OpenAI, filename: str) -> list[str]:
    return [file.id for file in client.files.list() if file.filename == filename]


def _refusal(answer: httpx.Response) -> tuple[int, str, str | None, str | None]:
    error = answer.json()["error"]
    assert error["type"] == "invalid_request_error"
    return answer.status_code, error["message"], error["param"], error["code"]


def test_the_order_is_that_of_the_part_ids(client: OpenAI, server: ServerProcess) -> None:
    upload = _begin(client, 11)
    assert re.fullmatch("upload_[0-9a-f]{32}", upload.id)
    assert (upload.object, upload.status, upload.bytes, upload.file) == ("upload", "pending", 11, None)
    assert (upload.filename, upload.purpose) == ("data.jsonl", "fine-tune")
    assert upload.expires_at == upload.created_at + 3600
    with ThreadPoolExecutor() as pool:
        parts = list(
            pool.map(lambda content: client.uploads.parts.create(upload.id, data=content), [b"world", b"hello "])
        )
    assert all(re.fullmatch("part_[0-9a-f]{32}", part.id) for part in parts)
    assert [(part.object, part.upload_id) for part in parts] == [("upload.part", upload.id)] * 2
    done = client.uploads.complete(
        upload.id, part_ids=[parts[1].id, parts[0].id], md5=hashlib.md5(b"hello world").hexdigest().upper()
    )
    assert done.file is not None
    assert done == upload.model_copy(update={"status": "completed", "file": done.file})
    assert (done.file.bytes, done.file.filename, done.file.purpose) == (11, "data.jsonl", "fine-tune")
    assert (done.file.status, done.file.expires_at) == ("processed", None)
    assert client.files.retrieve(done.file.id) == done.file
    assert client.files.content(done.file.id).read() == b"hello world"
    assert not any((server.data_dir / "files" / part.id).exists() for part in parts)


def test_the_wire(client: OpenAI, server: ServerProcess) -> None:
    body = {"purpose": "user_data", "filename": "a.txt", "bytes": 0, "mime_type": "text/plain"}
    created = httpx.post(f"{server.url}/uploads", json=body | {"expires_after": None})
    assert created.status_code == 200
    fields = ["id", "object", "bytes", "created_at", "filename", "purpose", "status", "expires_at"]
    assert list(created.json()) == fields
    address = f"{server.url}/uploads/{created.json()['id']}"
    part = httpx.post(f"{address}/parts", data={"data": "as a plain field, empty or not"}).json()
    assert part["error"]["message"].startswith("Could not parse multipart form")
    part = httpx.post(f"{address}/parts", files={"data": (None, b"")}).json()
    assert list(part) == ["id", "object", "created_at", "upload_id"]
    done = httpx.post(f"{address}/complete", json={"part_ids": []}).json()
    assert list(done) == [*fields, "file"]
    assert done["file"]["bytes"] == 0
    other = httpx.post(f"{server.url}/uploads", json=body).json()["id"]
    empty = {"content-type": "application/json"}
    cancelled = httpx.post(f"{server.url}/uploads/{other}/cancel", content=b"", headers=empty).json()
    assert list(cancelled) == fields
    assert cancelled["status"] == "cancelled"


@pytest.mark.parametrize("kind", ["bytes", "path"])
def test_upload_file_chunked(client: OpenAI, tmp_path: Path, kind: str) -> None:
    content = os.urandom(2_500_000)
    md5 = hashlib.md5(content).hexdigest()
    if kind == "bytes":
        done = client.uploads.upload_file_chunked(
            file=content,
            filename="chunked.bin",
            bytes=len(content),
            mime_type="application/octet-stream",
            purpose="batch",
            part_size=MB,
            md5=md5,
        )
    else:
        (tmp_path / "chunked.bin").write_bytes(content)
        done = client.uploads.upload_file_chunked(
            file=tmp_path / "chunked.bin", mime_type="pdf", purpose="batch", part_size=MB, md5=md5
        )
    assert done.status == "completed"
    assert done.file is not None
    assert done.file.filename == "chunked.bin"
    assert client.files.content(done.file.id).read() == content


def test_the_file_expires_as_asked(client: OpenAI) -> None:
    for purpose, expires_after, seconds in (
        ("fine-tune", {"anchor": "created_at", "seconds": 7200}, 7200),
        ("batch", None, 30 * 24 * 3600),
    ):
        upload = _begin(client, 0, purpose=purpose, **({"expires_after": expires_after} if expires_after else {}))
        file = client.uploads.complete(upload.id, part_ids=[]).file
        assert file is not None
        assert file.expires_at == file.created_at + seconds


def test_what_is_refused_leaves_the_upload_as_it_was(client: OpenAI, server: ServerProcess) -> None:
    upload = _begin(client, 6, filename="refused.jsonl")
    first, second, third = _add(client, upload, b"abc", b"def", b"ghi")
    (foreign,) = _add(client, _begin(client, 3), b"xyz")

    def complete(**body: object) -> tuple[int, str, str | None, str | None]:
        return _refusal(httpx.post(f"{server.url}/uploads/{upload.id}/complete", json=body))

    right = hashlib.md5(b"abcdef").hexdigest()
    for body, refusal in (
        ({}, ("Missing required parameter: 'part_ids'.", "part_ids", "missing_required_parameter")),
        (
            {"part_ids": [first]},
            ("The parts have 3 bytes, but the upload was created for 6 bytes.", "part_ids", _INVALID),
        ),
        (
            {"part_ids": [first, second, third]},
            ("The parts have 9 bytes, but the upload was created for 6 bytes.", "part_ids", _INVALID),
        ),
        ({"part_ids": [first, first]}, (f"Duplicate part_ids ['{first}', '{first}']", "part_ids", None)),
        (
            {"part_ids": [first, foreign]},
            (f"No part found with id '{foreign}' in upload '{upload.id}'.", "part_ids[1]", None),
        ),
        (
            {"part_ids": ["file-1"]},
            (
                "Invalid 'part_ids[0]': 'file-1'. Expected an ID that begins with 'part'.",
                "part_ids[0]",
                _INVALID,
            ),
        ),
        (
            {"part_ids": [second, first], "md5": right},
            (
                f"The md5 checksum of the parts is '{hashlib.md5(b'defabc').hexdigest()}', but '{right}' was given.",
                "md5",
                _INVALID,
            ),
        ),
        ({"part_ids": [first], "x": 1}, ("Unknown parameter: 'x'.", "x", "unknown_parameter")),
    ):
        assert complete(**body) == (400, *refusal)
    assert complete(part_ids=[first, second], md5="short")[2:] == ("md5", _INVALID)
    assert not os.listdir(server.data_dir / "incoming")
    assert _files_of(client, "refused.jsonl") == []
    done = client.uploads.complete(upload.id, part_ids=[first, second], md5=right)
    assert done.file is not None
    assert client.files.content(done.file.id).read() == b"abcdef"
    assert not (server.data_dir / "files" / third).exists()


@pytest.mark.parametrize(
    ("change", "message", "param", "code"),
    [
        (
            {"bytes": None},
            "Invalid type for 'bytes': expected an integer, but got null instead.",
            "bytes",
            "invalid_type",
        ),
        (
            {"bytes": 8 * 1024**3 + 1},
            "Invalid 'bytes': integer above maximum value. Expected a value <= 8589934592, but got 8589934593 instead.",
            "bytes",
            "integer_above_max_value",
        ),
        (
            {"bytes": -1},
            "Invalid 'bytes': integer below minimum value. Expected a value >= 0, but got -1 instead.",
            "bytes",
            "integer_below_min_value",
        ),
        (
            {"purpose": "assistants_output"},
            "Invalid value: 'assistants_output'. Supported values are: 'fine-tune', 'assistants', "  # noqa: ISC004
            "'batch', 'user_data', 'vision', and 'evals'.",
            "purpose",
            _INVALID,
        ),
        (
            {"expires_after": {"anchor": "created_at", "seconds": 3599}},
            "Invalid 'expires_after.seconds': integer below minimum value. "  # noqa: ISC004
            "Expected a value >= 3600, but got 3599 instead.",
            "expires_after.seconds",
            "integer_below_min_value",
        ),
        ({"name": "x"}, "Unknown parameter: 'name'.", "name", "unknown_parameter"),
    ],
)
def test_bodies(server: ServerProcess, change: dict[str, object], message: str, param: str, code: str) -> None:
    body = {"bytes": 1, "filename": "a", "mime_type": "text/plain", "purpose": "batch"} | change
    assert _refusal(httpx.post(f"{server.url}/uploads", json=body)) == (400, message, param, code)


def test_what_is_missing(server: ServerProcess, client: OpenAI) -> None:
    for name in ("bytes", "filename", "mime_type", "purpose"):
        body = {"bytes": 1, "filename": "a", "mime_type": "text/plain", "purpose": "batch"}
        del body[name]
        refusal = (400, f"Missing required parameter: '{name}'.", name, "missing_required_parameter")
        assert _refusal(httpx.post(f"{server.url}/uploads", json=body)) == refusal
    parts = f"{server.url}/uploads/{_begin(client, 1).id}/parts"
    refusal = (400, "Missing required parameter: 'data'.", "data", "missing_required_parameter")
    assert _refusal(httpx.post(parts, files={"file": b"x"})) == refusal
    refusal = (400, "Unknown parameter: 'x'.", "x", "unknown_parameter")
    assert _refusal(httpx.post(parts, files={"data": b"x"}, data={"x": "y"})) == refusal
    for path in ("parts", "complete", "cancel"):
        content: dict[str, Any] = {"json": {"part_ids": []}} if path == "complete" else {"files": {"data": b"x"}}
        answer = httpx.post(f"{server.url}/uploads/upload_x/{path}", **content)
        assert _refusal(answer) == (404, "No upload found with id 'upload_x'.", None, None)


def test_a_part_of_64_mb_and_one_of_a_byte_more(client: OpenAI, server: ServerProcess) -> None:
    upload = _begin(client, 64 * MB)
    content = bytes(64 * MB)
    (part,) = _add(client, upload, content)
    with pytest.raises(openai.BadRequestError, match="'data' is larger than the 64 MB that it may have") as caught:
        _add(client, upload, content + b"x")
    assert caught.value.param == "data"
    assert not os.listdir(server.data_dir / "incoming")
    done = client.uploads.complete(upload.id, part_ids=[part], md5=hashlib.md5(content).hexdigest())
    assert done.file is not None
    assert done.file.bytes == 64 * MB
    client.files.delete(done.file.id)


def test_all_parts_together_have_8_gb_at_most(client: OpenAI, server: ServerProcess) -> None:
    upload = _begin(client, 8 * 1024**3)
    (part,) = _add(client, upload, b"x")
    # Its size is changed in the table: 8 GB are too much for a test.
    with _table(server) as table:
        table.execute("UPDATE upload_parts SET bytes = ? WHERE id = ?", [8 * 1024**3 - 1, part])
    _add(client, upload, b"x")
    with pytest.raises(openai.BadRequestError, match="would be larger than the 8 GB that they may have"):
        _add(client, upload, b"x")


@pytest.mark.parametrize("status", ["completed", "cancelled", "expired"])
def test_what_is_over_stays_over(client: OpenAI, server: ServerProcess, status: str) -> None:
    upload = _begin(client, 1)
    (part,) = _add(client, upload, b"x")
    if status == "completed":
        client.uploads.complete(upload.id, part_ids=[part])
    elif status == "cancelled":
        cancelled = client.uploads.cancel(upload.id)
        assert (cancelled.status, cancelled.file) == ("cancelled", None)
    else:
        # Its time is moved in the table: an hour is too long for a test.
        with _table(server) as table:
            table.execute("UPDATE uploads SET expires_at = 1 WHERE id = ?", [upload.id])
    for deed, act in (
        ("add parts to", lambda: _add(client, upload, b"y")),
        ("complete", lambda: client.uploads.complete(upload.id, part_ids=[part])),
        ("cancel", lambda: client.uploads.cancel(upload.id)),
    ):
        with pytest.raises(openai.BadRequestError, match=f"Cannot {deed} upload with status '{status}'."):
            act()
    wait_for(lambda: not (server.data_dir / "files" / part).exists())
    with _table(server) as table:
        wait_for(lambda: table.execute("SELECT status FROM uploads WHERE id = ?", [upload.id]).fetchone()[0] == status)
        assert table.execute("SELECT count(*) FROM upload_parts WHERE upload_id = ?", [upload.id]).fetchone() == (0,)


def test_of_several_completions_at_once_one_wins(client: OpenAI) -> None:
    upload = _begin(client, 3 * MB, filename="once.jsonl")
    parts = _add(client, upload, *(os.urandom(MB) for _ in range(3)))

    def complete(_: int) -> str:
        try:
            return client.uploads.complete(upload.id, part_ids=parts).status
        except openai.BadRequestError as error:
            return error.message

    with ThreadPoolExecutor() as pool:
        answers = list(pool.map(complete, range(6)))
    assert answers.count("completed") == 1
    assert sum("Cannot complete upload with status 'completed'." in answer for answer in answers) == 5
    assert len(_files_of(client, "once.jsonl")) == 1


def test_a_cancellation_while_the_parts_are_joined(client: OpenAI, server: ServerProcess) -> None:
    upload = _begin(client, 3, filename="half.jsonl")
    parts = _add(client, upload, b"a", b"bc")
    with ThreadPoolExecutor() as pool, _slow(server, parts[1]) as slow:
        completing = pool.submit(client.uploads.complete, upload.id, part_ids=parts)
        wait_for(lambda: bool(os.listdir(server.data_dir / "incoming")))
        # The event loop answers others meanwhile.
        assert client.uploads.cancel(upload.id).status == "cancelled"
        os.write(slow, b"bc")
    with pytest.raises(openai.BadRequestError, match="Cannot complete upload with status 'cancelled'."):
        completing.result()
    assert _files_of(client, "half.jsonl") == []
    assert not os.listdir(server.data_dir / "incoming")


def test_restarts_and_a_crash_while_the_parts_are_joined(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "data")
    contents = server.data_dir / "files"
    with official_client(server) as client, ThreadPoolExecutor() as pool:
        upload = _begin(client, 6)
        parts = _add(client, upload, b"abc", b"def")
        with _slow(server, parts[1]):
            completing = pool.submit(client.uploads.complete, upload.id, part_ids=parts)
            wait_for(lambda: bool(os.listdir(server.data_dir / "incoming")))
            server.kill()
        with pytest.raises(openai.APIConnectionError):
            completing.result()
    (contents / parts[1]).unlink()
    (contents / parts[1]).write_bytes(b"def")
    (contents / "part_of_nothing").write_bytes(b"x")
    assert os.listdir(server.data_dir / "incoming")
    server.start()
    assert os.listdir(server.data_dir / "incoming") == []
    assert sorted(os.listdir(contents)) == sorted(parts)
    with official_client(server) as client:
        assert client.files.list().data == []
        done = client.uploads.complete(upload.id, part_ids=parts)
        assert done.file is not None
        assert client.files.content(done.file.id).read() == b"abcdef"
    assert os.listdir(contents) == [done.file.id]
    assert server.stop() == 0


def test_the_log_has_no_traceback(server: ServerProcess) -> None:
    assert "Traceback" not in server.log()


@contextmanager
def _slow(server: ServerProcess, part_id: str) -> Iterator[int]:
    """A part whose content comes only as the test writes it."""
    content = server.data_dir / "files" / part_id
    content.unlink()
    os.mkfifo(content)
    writer = os.open(content, os.O_RDWR)
    try:
        yield writer
    finally:
        os.close(writer)


@contextmanager
def _table(server: ServerProcess) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(server.data_dir / "understudy.db")) as database, database:
        yield database
