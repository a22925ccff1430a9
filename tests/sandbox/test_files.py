"""Files in and out: whatever the code plants in /mnt/data, nothing else is ever read or written."""

import os
from pathlib import Path

import pytest

from understudy_sandbox.files import SessionFiles, plain_name
from understudy_sandbox.folders import delete_tree
from understudy_sandbox.limits import SandboxLimits

from .conftest import Caller, text

pytestmark = pytest.mark.anyio
WALLS = ("bubblewrap", "landlock")

PLANT = """
import os
os.symlink('/etc/passwd', 'link.txt')
os.symlink('/', 'rootlink')
os.mkfifo('fifo')
os.mkdir('folder')
os.symlink('../../x', 'folder/up')
os.link('real', 'hard') if os.path.exists('real') else None
open('real', 'w').write('real')
"""


async def test_only_regular_files_come_out(caller: Caller) -> None:
    result = await caller(PLANT)
    assert result.changed_files == ("real",)
    session = await caller.session()
    for name in ("link.txt", "fifo", "folder", "folder/up", "rootlink/etc/passwd", "../real", "/etc/passwd", "", "."):
        with pytest.raises(FileNotFoundError):
            session.open_file(name)
    with session.open_file("real") as file:
        assert file.read() == b"real"


async def test_a_file_is_copied_in_and_out(caller: Caller, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_text("a,b\n1,2\n")
    session = await caller.session()
    await session.add_file("../../etc/sales 2024.csv", source)
    assert await caller.logs("import os; print(os.listdir(), open('sales 2024.csv').read())") == (
        "['sales 2024.csv'] a,b\n1,2\n\n"
    )
    await caller.logs("open('sales 2024.csv', 'a').write('3,4')")
    assert source.read_text() == "a,b\n1,2\n"


async def test_a_file_is_copied_once(caller: Caller, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_text("first")
    session = await caller.session()
    await session.add_file("a.txt", source)
    await caller.logs("open('a.txt', 'w').write('mine')")
    await session.add_file("a.txt", source)
    assert await caller.logs("open('a.txt').read()") == "'mine'\n"
    source.write_text("second version")
    await session.add_file("a.txt", source)
    assert await caller.logs("open('a.txt').read()") == "'second version'\n"
    await caller.logs("import os; os.unlink('a.txt')")
    await session.add_file("a.txt", source)
    assert await caller.logs("open('a.txt').read()") == "'second version'\n"


@pytest.mark.parametrize("plant", ["os.symlink('{target}', 'a.txt')", "os.mkfifo('a.txt')"], ids=["link", "fifo"])
async def test_a_planted_name_is_replaced_not_followed(caller: Caller, tmp_path: Path, plant: str) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_text("source")
    target.write_text("target")
    await caller.logs("import os; " + plant.format(target=target))
    session = await caller.session()
    await session.add_file("a.txt", source)
    assert target.read_text() == "target"
    with session.open_file("a.txt") as file:
        assert file.read() == b"source"


async def test_a_folder_is_not_replaced(caller: Caller, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_text("source")
    await caller.logs("import os; os.mkdir('a.txt')")
    session = await caller.session()
    with pytest.raises(IsADirectoryError):
        await session.add_file("a.txt", source)
    assert await caller.logs("os.listdir('.')") == "['a.txt']\n"


async def test_the_folder_may_be_shut(caller: Caller, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_text("source")
    await caller.logs("import os; os.mkdir('d'); os.chmod('d', 0); os.chmod('.', 0)")
    await (await caller.session()).add_file("a.txt", source)
    await caller.sandbox.discard(caller.key)
    assert not (await caller.session()).files.path.exists()


async def test_names_that_are_no_text_are_left_out(caller: Caller) -> None:
    result = await caller(r"open(b'\xff\xfe', 'w').close(); open('ü.txt', 'w').close()")
    assert text(result) == ""
    assert result.changed_files == ("ü.txt",)


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("a.csv", "a.csv"),
        ("../../etc/passwd", "passwd"),
        ("C:\\data\\a.csv", "a.csv"),
        ("..", "file"),
        ("", "file"),
        ("a/", "file"),
        ("a\x00b\n.txt", "ab.txt"),
        ("ü" * 300 + ".csv", "ü" * 125 + ".csv"),
    ],
)
def test_plain_names(name: str, plain: str) -> None:
    assert plain_name(name) == plain


def test_hostile_trees_can_be_deleted(tmp_path: Path) -> None:
    top = tmp_path / "top"
    top.mkdir()
    (tmp_path / "outside").write_text("kept")
    (top / "link").symlink_to(tmp_path)
    current = os.open(top, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d", dir_fd=current)
        below = os.open("d", os.O_RDONLY, dir_fd=current)
        os.close(current)
        current = below
    os.fchmod(current, 0)
    os.close(current)
    delete_tree(top)
    assert [path.name for path in tmp_path.iterdir()] == ["outside"]


def test_deep_folders_are_not_looked_into(tmp_path: Path) -> None:
    files = SessionFiles(tmp_path / "s", None, SandboxLimits(depth=3))
    (files.data / "1/2/3/4/5").mkdir(parents=True)
    (files.data / "1/a").touch()
    snapshot = files.snapshot()
    assert not snapshot.complete
    assert set(snapshot.marks) <= {"1/a"}
