"""The explicit choice of no wall: the same sessions, in a folder that stands for /mnt/data."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from understudy_sandbox import Sandbox, SandboxLimits

from .conftest import Caller, images, text

pytestmark = pytest.mark.anyio
DOT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


@pytest.fixture
async def plain(tmp_path: Path) -> AsyncIterator[Caller]:
    sandbox = Sandbox(wall="unsafe-local", root=tmp_path, limits=SandboxLimits(timeout=1.0, grace=1.0))
    yield Caller(sandbox, "a")
    await sandbox.aclose()


async def test_it_warns(plain: Caller) -> None:
    verdict = await plain.sandbox.probe()
    assert verdict.wall == "unsafe-local"
    assert "without any wall" in (verdict.hint or "")


async def test_mnt_data_means_the_sessions_folder(plain: Caller, tmp_path: Path) -> None:
    (tmp_path / "source").write_text("1,2")
    await (await plain.session()).add_file("a.csv", tmp_path / "source")
    result = await plain(
        "open('/mnt/data/b.csv', 'w').write(open('/mnt/data/a.csv').read())\nimport os; print(os.getcwd())"
    )
    assert (result.status, text(result), result.changed_files) == ("ok", "/mnt/data\n", ("b.csv",))


async def test_outputs_and_limits_are_the_same(plain: Caller) -> None:
    shows = f"import base64, time\nfrom IPython.display import Image\ndisplay(Image(base64.b64decode({DOT!r})))"
    result = await plain(f"x = 1\n{shows}\ntime.sleep(9)")
    assert result.status == "timeout"
    assert len(images(result)) == 1
    assert await plain.logs("x") == "1\n"
    assert (await plain("import os; os._exit(1)")).status == "died"
    assert (await plain.logs("1 + 1")).startswith("2\n")


async def test_the_servers_environment_stays_outside(plain: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    assert await plain.logs("import os; print('OPENAI_API_KEY' in os.environ)") == "False\n"
