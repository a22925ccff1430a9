"""Calls on a session: state, outputs in their order and in time, images, errors, cancellation."""

import time

import anyio
import pytest

from understudy_sandbox import Image, Logs, Output, Sandbox

from .conftest import Caller, images, text

pytestmark = pytest.mark.anyio
WALLS = ("bubblewrap", "landlock")

LOST = "variables and imports are gone"


async def test_state_is_kept_between_calls(caller: Caller) -> None:
    assert await caller.logs("x = 41") == ""
    assert await caller.logs("x += 1\nx") == "42\n"


async def test_sessions_share_nothing(caller: Caller, sandbox: Sandbox) -> None:
    other = Caller(sandbox, "another")
    await caller.logs("x = 1; open('mine', 'w').close()")
    result = await other("import os; print(os.listdir('/mnt/data')); x")
    assert (result.status, result.outputs) == ("error", result.outputs)
    assert text(result).startswith("[]\n")
    assert "NameError" in text(result)


async def test_outputs_come_in_their_order(caller: Caller) -> None:
    result = await caller(
        "import matplotlib.pyplot as plt\nprint('before')\nplt.plot([1, 2])\nplt.show()\nprint('after')\n'value'"
    )
    before, image, after = result.outputs
    assert before == Logs("before\n")
    assert isinstance(image, Image)
    assert image.media_type == "image/png"
    assert after == Logs("after\n'value'\n")
    assert (result.status, result.note) == ("ok", None)


async def test_what_is_passed_on_is_what_is_returned(caller: Caller) -> None:
    result = await caller("print('a'); 1/0")
    assert "".join(o.text for _, o in caller.passed_on if isinstance(o, Logs)) == text(result)


async def test_output_is_passed_on_before_the_end(caller: Caller) -> None:
    await caller.logs("import time")
    await caller.logs("print('first', flush=True); time.sleep(0.6); print('second')")
    (first, one), (second, two) = caller.passed_on
    assert (one, two) == (Logs("first\n"), Logs("second\n"))
    assert second - first > 0.4


async def test_half_characters_take_nothing_with_them(caller: Caller) -> None:
    assert await caller.logs("print('before')\nprint('\\ud800', '\\udcff', 'after')") == ("before\n? ? after\n")
    assert "ValueError" in text(await caller("raise ValueError('\\ud800')"))


async def test_many_small_prints_are_gathered(caller: Caller) -> None:
    result = await caller("for i in range(2000): print(i, flush=True)")
    assert text(result).split() == [str(i) for i in range(2000)]
    assert len(caller.passed_on) < 100


async def test_nothing_is_lost_while_nobody_reads(caller: Caller) -> None:
    await caller.logs("import time")

    async def be_busy() -> None:
        await anyio.sleep(0.3)
        time.sleep(1.5)  # noqa: ASYNC251 - the event loop has other work

    async with anyio.create_task_group() as group:
        group.start_soon(be_busy)
        result = await caller("time.sleep(0.4)\nfor i in range(8000): print(i, flush=True)")
    assert text(result).split() == [str(i) for i in range(8000)]


async def test_nothing_is_lost_while_the_reader_is_slow(caller: Caller) -> None:
    """The reply overtakes the images, of which little more than one is read at a time."""

    async def read_slowly(output: Output) -> None:
        await anyio.sleep(0.5)

    code = """
import os
from PIL import Image
for _ in range(6): display(Image.frombytes('RGB', (500, 500), os.urandom(750000)))
"""
    result = await (await caller.session()).execute(code, read_slowly)
    assert len(images(result)) == 6


async def test_an_error_is_a_clean_traceback(caller: Caller) -> None:
    result = await caller("import json\njson.loads('{')")
    assert result.status == "error"
    assert "JSONDecodeError" in text(result)
    assert "\x1b" not in text(result)
    assert "/lib/python3" not in text(result).replace("/opt/python/lib/python3", "").replace("/usr/lib/python3", "")
    assert result.note is None


async def test_a_call_right_after_an_error_runs(caller: Caller) -> None:
    await caller.logs("get_ipython().kernel._post_dummy_stop_aborting_message = print  # what ends the refusing")
    assert (await caller("1 / 0")).status == "error"
    assert await caller.logs("'done'") == "'done'\n"


async def test_a_figure_that_arrives_twice_is_one_image(caller: Caller) -> None:
    code = "from PIL import Image\nim = Image.new('RGB', (9, 9), 'red')\ndisplay(im)\ndisplay(im)\nim"
    result = await caller(code)
    assert [image.media_type for image in images(result)] == ["image/png"]
    assert text(result) == ""


async def test_rich_displays_come_as_text(caller: Caller) -> None:
    shown = await caller.logs("import pandas as pd\npd.DataFrame({'a': [1]})")
    assert shown.split() == ["a", "0", "1"]


async def test_input_fails_at_once(caller: Caller) -> None:
    started = time.monotonic()
    result = await caller("input('name?')")
    assert result.status == "error"
    assert "StdinNotImplementedError" in text(result)
    assert time.monotonic() - started < 5


async def test_changed_files_are_named(caller: Caller) -> None:
    assert (await caller("open('a.txt', 'w').write('1')")).changed_files == ("a.txt",)
    result = await caller("import os; os.mkdir('sub'); open('/mnt/data/sub/b.txt', 'w').write('2')")
    assert result.changed_files == ("sub/b.txt",)
    assert (await caller("open('a.txt').read()")).changed_files == ()
    assert (await caller("open('a.txt', 'a').write('3')")).changed_files == ("a.txt",)
    with (await caller.session()).open_file("a.txt") as file:
        assert file.read() == b"13"


@pytest.mark.parametrize(
    "code", ["import os; os._exit(1)", "import os; os.kill(os.getpid(), 11)", "import os; os.abort()"]
)
async def test_a_kernel_that_dies_is_replaced(caller: Caller, code: str) -> None:
    await caller.logs("x = 1; open('kept', 'w').write('kept')")
    result = await caller(f"print('soon', flush=True)\n{code}")
    assert result.status == "died"
    assert result.note is not None
    assert LOST in result.note
    assert result.note in text(result)
    after = await caller("print(open('kept').read(), 'x' in globals())")
    assert text(after).startswith("kept False\n")
    assert LOST in (after.note or "")
    assert (await caller("1")).note is None


async def test_a_kernel_that_dies_between_calls_is_replaced(caller: Caller) -> None:
    await caller.logs("import os, threading; threading.Timer(0.1, os._exit, (1,)).start()")
    await anyio.sleep(0.5)
    result = await caller("1 + 1")
    assert text(result).startswith("2\n")
    assert LOST in text(result)


async def test_exit_is_followed_by_a_fresh_kernel(caller: Caller) -> None:
    result = await caller("exit()")
    assert result.status == "ok"
    assert LOST in (result.note or "")
    assert (await caller.logs("1 + 1")).startswith("2\n")


async def test_a_cancelled_call_leaves_the_session_usable(caller: Caller) -> None:
    await caller.logs("import time; x = 1")
    with anyio.move_on_after(0.3):
        await caller("time.sleep(30)")
    started = time.monotonic()
    assert await caller.logs("x") == "1\n"
    assert time.monotonic() - started < 2


async def test_what_a_cancelled_call_could_not_tell_the_next_one_tells(caller: Caller) -> None:
    await caller.logs("x = 1")
    await (await caller.session()).close()
    with anyio.CancelScope() as scope:

        async def leave(output: Output) -> None:
            scope.cancel()

        code = "import time; y = 1; print('begun', flush=True); time.sleep(30)"
        await (await caller.session()).execute(code, leave)
    result = await caller("print('x' in globals(), y)")
    assert text(result) == f"False 1\n{result.note}\n"
    assert LOST in (result.note or "")
    assert (await caller("1")).note is None


async def test_a_cancelled_call_that_does_not_yield_is_killed(caller: Caller) -> None:
    await caller.logs("import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN)")
    started = time.monotonic()
    with anyio.move_on_after(0.3):
        await caller("while True:\n try: time.sleep(30)\n except BaseException: pass")
    assert time.monotonic() - started < 3
    assert LOST in await caller.logs("1")


async def test_an_error_of_the_reader_ends_the_call(caller: Caller) -> None:
    async def refuse(output: Output) -> None:
        raise ConnectionError("gone")

    await caller.logs("import time; x = 1")
    session = await caller.session()
    with pytest.raises(ConnectionError):
        await session.execute("print('a', flush=True); time.sleep(30)", refuse)
    assert await caller.logs("x") == "1\n"


async def test_calls_of_a_session_come_one_after_the_other(caller: Caller) -> None:
    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(
                caller, "import time; open('log', 'a').write('['); time.sleep(0.1); open('log', 'a').write(']')"
            )
    assert await caller.logs("print(open('log').read())") == "[][][]\n"


async def test_a_session_of_an_earlier_server_keeps_its_files(caller: Caller, sandbox: Sandbox) -> None:
    await caller.logs("x = 1; open('kept', 'w').write('kept')")
    await (await caller.session()).close()
    later = Sandbox(root=sandbox._root)
    try:
        result = await Caller(later, caller.key)("print(open('kept').read()); x")
    finally:
        await later.aclose()
    assert "kept" in text(result)
    assert LOST in text(result)


async def test_data_work_has_what_it_needs(caller: Caller) -> None:
    code = """
import sqlite3, subprocess, threading, pathlib
import numpy as np, pandas as pd, scipy.stats
frame = pd.DataFrame({"month": ["a", "b"], "sales": [1.0, 2.0]})
frame.to_excel("out.xlsx"); frame.to_csv("/mnt/data/out.csv", index=False)
assert pd.read_excel("out.xlsx")["sales"].sum() == 3
assert scipy.stats.linregress([1, 2, 3], [2, 4, 6]).slope == 2
assert sqlite3.connect("x.db").execute("select 1").fetchone() == (1,)
assert subprocess.run(["echo", "hi"], capture_output=True, text=True).stdout == "hi\\n"
pathlib.Path("mod.py").write_text("value = 7")
import mod
print(mod.value, pathlib.Path.cwd(), np.linalg.det(np.eye(300)))
"""
    result = await caller(code)
    assert text(result) == "7 /mnt/data 1.0\n"
    assert result.changed_files == ("mod.py", "out.csv", "out.xlsx", "x.db")
