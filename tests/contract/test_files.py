"""/files through the official client, and uploads that break off."""

import os
import socket
import sqlite3
import time
from contextlib import closing
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
    assert upload({"purpose": "batch", "expires_after[seconds]": "9" * 5000}, [file]) == 400
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
