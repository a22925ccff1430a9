"""/files through the official client, and uploads that break off."""

import os
import re
import socket
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

import httpx
import openai
import pytest
from openai import OpenAI

from tests.server_process import ServerProcess


def test_file_life(client: OpenAI) -> None:
    content = os.urandom(3_000_000)
    file = client.files.create(file=("data.bin", content), purpose="batch")
    assert file.id.startswith("file-")
    assert (file.object, file.bytes, file.filename, file.purpose, file.status) == (
        "file",
        len(content),
        "data.bin",
        "batch",
        "processed",
    )
    assert client.files.retrieve(file.id) == file
    assert client.files.content(file.id).read() == content
    deleted = client.files.delete(file.id)
    assert (deleted.id, deleted.object, deleted.deleted) == (file.id, "file", True)
    with pytest.raises(openai.NotFoundError, match=f"No such File object: {file.id}"):
        client.files.retrieve(file.id)
    with pytest.raises(openai.NotFoundError):
        client.files.content(file.id)


def test_list_by_purpose(client: OpenAI) -> None:
    made = [client.files.create(file=(f"{number}.png", b"{}"), purpose="vision").id for number in range(3)]
    assert [file.id for file in client.files.list(purpose="vision", limit=2).data] == made[:0:-1]
    for file in client.files.list(purpose="vision", limit=1):
        client.files.delete(file.id)
    assert client.files.list(purpose="vision").data == []


def test_list_parameters(client: OpenAI, server: ServerProcess) -> None:
    made = [client.files.create(file=(f"{number}.jsonl", b"{}"), purpose="fine-tune").id for number in range(4)]

    def listed(**params: object) -> list[str]:
        params = {"purpose": "fine-tune", "limit": 10_000} | params
        page = httpx.get(f"{server.url}/files", params=params).json()  # type: ignore[arg-type]
        ids = [file["id"] for file in page["data"]]
        assert (page["object"], page["first_id"], page["last_id"]) == (
            "list",
            *((ids[0], ids[-1]) if ids else (None,) * 2),
        )
        return [one for one in ids if one in made]

    assert listed() == made[::-1]
    assert listed(order="asc", after=made[0], limit=2) == made[1:3]
    assert listed(after=made[2], before=made[0]) == [made[1]]
    assert listed(purpose="none of ours") == []
    for params, message, param, code in (
        (
            {"limit": 10_001},
            "Invalid 'limit': integer above maximum value. Expected a value <= 10000, but got 10001 instead.",
            "limit",
            "integer_above_max_value",
        ),
        (
            {"limit": 0},
            "Invalid 'limit': integer below minimum value. Expected a value >= 1, but got 0 instead.",
            "limit",
            "integer_below_min_value",
        ),
        ({"order": "up"}, "Invalid value: 'up'. Supported values are: 'asc' and 'desc'.", "order", "invalid_value"),
    ):
        answer = httpx.get(f"{server.url}/files", params=params)
        error = {"message": message, "type": "invalid_request_error", "param": param, "code": code}
        assert (answer.status_code, answer.json()) == (400, {"error": error})
    message = "No such File object: file-none"
    not_found = {"message": message, "type": "invalid_request_error", "param": "id", "code": None}
    for path in ("?after=file-none", "/file-none", "/file-none/content"):
        answer = httpx.get(f"{server.url}/files{path}")
        assert (answer.status_code, answer.json()) == (404, {"error": not_found, "detail": message})
    assert httpx.delete(f"{server.url}/files/file-none").json()["detail"] == message
    for file_id in made:
        client.files.delete(file_id)


def test_chosen_ids(client: OpenAI, server: ServerProcess) -> None:
    def upload(file_id: str, content: bytes) -> str:
        return client.files.create(file=("a.txt", content), purpose="batch", extra_body={"id": file_id}).id

    assert upload("file-chosen_by-me", b"mine") == "file-chosen_by-me"
    for file_id, message in (
        ("file-chosen_by-me", "The id 'file-chosen_by-me' is already in use."),
        ("asst_1", "Invalid 'id': 'asst_1'. Expected an ID that begins with 'file'."),
        ("file-../../etc/passwd", "Invalid 'id': 'file-../../etc/passwd'. Expected an ID that begins with 'file'."),
        ("file-" + "x" * 60, f"Invalid 'id': 'file-{'x' * 60}'. Expected at most 64 ASCII characters."),
    ):
        with pytest.raises(openai.BadRequestError, match=re.escape(message)) as caught:
            upload(file_id, b"another's")
        assert (caught.value.param, caught.value.code) == ("id", "invalid_value")
    assert client.files.content("file-chosen_by-me").read() == b"mine"
    # What the form says after the file counts as well.
    late: list[Any] = [("file", ("b.txt", b"late")), ("purpose", (None, "batch")), ("id", (None, "file-late"))]
    assert httpx.post(f"{server.url}/files", files=late).json()["id"] == "file-late"
    client.files.delete("file-late")
    assert upload("file-late", b"again") == "file-late"
    assert client.files.content("file-late").read() == b"again"
    assert not os.listdir(server.data_dir / "incoming")


def test_of_several_uploads_with_one_id_one_wins(client: OpenAI) -> None:
    def upload(number: int) -> bytes:
        content = str(number).encode() * 100_000
        try:
            client.files.create(file=("a.txt", content), purpose="batch", extra_body={"id": "file-raced"})
        except openai.BadRequestError:
            return b""
        return content

    with ThreadPoolExecutor() as pool:
        (winner,) = filter(None, pool.map(upload, range(8)))
    assert client.files.content("file-raced").read() == winner


@pytest.mark.parametrize(
    ("fields", "message", "param", "code"),
    [
        ({"x": "y"}, "Unknown parameter: 'x'.", "x", "unknown_parameter"),
        (
            {"expires_after[anchor]": "created_at"},
            "Missing required parameter: 'expires_after.seconds'.",
            "expires_after.seconds",
            "missing_required_parameter",
        ),
        (
            {"expires_after[seconds]": "3600"},
            "Missing required parameter: 'expires_after.anchor'.",
            "expires_after.anchor",
            "missing_required_parameter",
        ),
        (
            {"expires_after[anchor]": "now", "expires_after[seconds]": "3600"},
            "Invalid value: 'now'. Value must be 'created_at'.",
            "expires_after.anchor",
            "invalid_value",
        ),
        (
            {"expires_after[anchor]": "created_at", "expires_after[seconds]": "soon"},
            "Invalid type for 'expires_after.seconds': expected an integer, but got a string instead.",
            "expires_after.seconds",
            "invalid_type",
        ),
        (
            {"expires_after[anchor]": "created_at", "expires_after[seconds]": "2592001"},
            "Invalid 'expires_after.seconds': integer above maximum value. "  # noqa: ISC004
            "Expected a value <= 2592000, but got 2592001 instead.",
            "expires_after.seconds",
            "integer_above_max_value",
        ),
        (
            {"expires_after": "soon", "expires_after[seconds]": "3600"},
            "Invalid type for 'expires_after': expected an object, but got a string instead.",
            "expires_after",
            "invalid_type",
        ),
    ],
)
def test_fields(server: ServerProcess, fields: dict[str, str], message: str, param: str, code: str) -> None:
    form: dict[str, Any] = {"data": {"purpose": "batch"} | fields, "files": {"file": b"x"}}
    answer = httpx.post(f"{server.url}/files", **form)
    error = {"message": message, "type": "invalid_request_error", "param": param, "code": code}
    assert (answer.status_code, answer.json()) == (400, {"error": error})


def test_files_for_batches_expire_after_30_days_unless_told_otherwise(client: OpenAI) -> None:
    file = client.files.create(file=("a", b"x"), purpose="batch")
    assert file.expires_at == file.created_at + 30 * 24 * 3600
    assert client.files.create(file=("a", b"x"), purpose="user_data").expires_at is None


def test_what_was_uploaded_for_assistants_is_not_handed_out(client: OpenAI) -> None:
    file = client.files.create(file=("a.txt", b"secret"), purpose="assistants")
    with pytest.raises(openai.BadRequestError, match="Not allowed to download files of purpose: assistants"):
        client.files.content(file.id)


@pytest.mark.parametrize("filename", ["überblick 2024.csv", "../../etc/passwd", 'quo"te.csv', "a/b.csv"])
def test_a_name_never_becomes_a_path(client: OpenAI, filename: str) -> None:
    file = client.files.create(file=(filename, b"x"), purpose="batch")
    assert client.files.content(file.id).read() == b"x"
    assert file.filename.rsplit("/", maxsplit=1)[-1].replace("%22", '"') == filename.rsplit("/", maxsplit=1)[-1]


def test_purpose_is_checked(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.files.create(file=("a", b"x"), purpose="x")  # type: ignore[arg-type]
    assert "'x' is not one of ['fine-tune', 'assistants', 'batch', 'user_data', 'vision', 'evals'] - 'purpose'" in str(
        caught.value
    )


def test_a_form_without_its_parts(server: ServerProcess) -> None:
    def upload(**form: object) -> dict[str, object]:
        answer = httpx.post(f"{server.url}/files", **form)  # type: ignore[arg-type]
        assert answer.status_code == 400
        error: dict[str, object] = answer.json()["error"]
        return error

    assert upload(files={"file": b"x"})["param"] == "purpose"
    assert upload(data={"purpose": "batch"}, files={"other": b"x"})["param"] == "file"
    assert "multipart" in str(upload(json={"purpose": "batch"})["message"])
    assert "multipart" in str(
        upload(content=b"no form", headers={"content-type": "multipart/form-data; boundary=b"})["message"]
    )


def test_forms_that_mean_no_good(server: ServerProcess) -> None:
    def upload(fields: dict[str, str], files: list[tuple[str, tuple[str, bytes]]]) -> int:
        answer = httpx.post(f"{server.url}/files", data=fields, files=files)
        assert answer.json()["error"]["type"] == "invalid_request_error"
        return answer.status_code

    file = ("file", ("a", b"AAA"))
    assert upload({"purpose": "batch"}, [file, ("file", ("b", b"BBB"))]) == 400
    assert upload({str(number): "x" for number in range(50)}, [file]) == 400
    assert upload({"purpose": "batch", "expires_after[seconds]": "9" * 70_000}, [file]) == 400
    assert upload({"purpose": "batch", "expires_after[anchor]": "now"}, [file]) == 400
    content_type = {"content-type": f"multipart/form-data; boundary={'b' * 300}"}
    assert httpx.post(f"{server.url}/files", content=b"--", headers=content_type).status_code == 400
    assert "Traceback" not in server.log()


def test_an_expired_file_goes(client: OpenAI, server: ServerProcess) -> None:
    file = client.files.create(
        file=("a", b"x"), purpose="batch", expires_after={"anchor": "created_at", "seconds": 3600}
    )
    assert file.expires_at == file.created_at + 3600
    # Its time is moved in the table: an hour is too long for a test.
    with closing(sqlite3.connect(server.data_dir / "understudy.db")) as database, database:
        database.execute("UPDATE files SET expires_at = 1 WHERE id = ?", [file.id])
    _wait_for(lambda: file.id not in {one.id for one in client.files.list()})
    assert not (server.data_dir / "files" / file.id).exists()
    with pytest.raises(openai.BadRequestError):
        client.files.create(file=("a", b"x"), purpose="batch", expires_after={"anchor": "created_at", "seconds": 1})


def test_an_upload_cut_off_leaves_nothing(client: OpenAI, server: ServerProcess) -> None:
    before = {file.id for file in client.files.list()}
    contents = set(os.listdir(server.data_dir / "files"))
    address = urlsplit(server.url)
    with socket.create_connection((address.hostname, address.port)) as connection:
        head = (
            f"POST /v1/files HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Type: multipart/form-data; boundary=b\r\n"
            "Content-Length: 9000000\r\n\r\n"
            '--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
            '--b\r\nContent-Disposition: form-data; name="file"; filename="big"\r\n\r\n'
        )
        connection.sendall(head.encode() + b"x" * 2_000_000)
        _wait_for(lambda: bool(os.listdir(server.data_dir / "incoming")))
    _wait_for(lambda: not os.listdir(server.data_dir / "incoming"))
    assert {file.id for file in client.files.list()} == before
    assert set(os.listdir(server.data_dir / "files")) == contents
    assert "Traceback" not in server.log()


def _wait_for(condition: object) -> None:
    assert callable(condition)
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
