"""No keyboard, no terminal, no network, no browser: what needs them ends soon and says what to do."""

import os
import sys
import time
from collections.abc import Callable

import pytest

from understudy_sandbox import Logs

from .conftest import Caller, images, text

pytestmark = pytest.mark.anyio

NO_NETWORK = "There is no network here, so nothing can be installed."
BROKEN = "import json\nopen('broken.py', 'w').write(\"import json\\njson.loads('{')\")\n"


@pytest.mark.parametrize("code", ["input('name? ')", "import getpass\ngetpass.getpass()"])
async def test_nobody_can_type(caller: Caller, code: str) -> None:
    result = await caller(code)
    assert result.status == "error"
    assert "StdinNotImplementedError: Nobody can type here: put the value into the code" in text(result)


@pytest.mark.parametrize(
    "command", ["!python -c 'input()'", "%%bash\npython -c 'input()'", "x = !python -c 'input()'\nx"]
)
async def test_a_command_finds_its_input_at_its_end(caller: Caller, command: str) -> None:
    assert "EOFError" in text(await caller(command))


async def test_a_command_prints_in_order_and_in_time(caller: Caller) -> None:
    code = "print('before')\n!echo one; sleep 0.6; echo two >&2; exit 3\nprint('after', _exit_code)"
    assert await caller.logs(code) == "before\none\ntwo\nafter 3\n"
    assert [output for _, output in caller.passed_on] == [Logs("before\none\n"), Logs("two\nafter 3\n")]


async def test_a_background_program_holds_nothing_up(caller: Caller) -> None:
    started = time.monotonic()
    assert await caller.logs("!(sleep 30 &); echo started") == "started\n"
    assert time.monotonic() - started < 10


async def test_an_interrupted_command_is_ended(hurried: Caller, descendants: Callable[[int], set[int]]) -> None:
    await hurried.logs("x = 1")
    before = descendants(os.getpid())
    assert (await hurried("!sleep 1000 | cat")).status == "timeout"
    assert await hurried.logs("x") == "1\n"
    assert descendants(os.getpid()) <= before


async def test_programs_are_not_told_to_use_colours(caller: Caller) -> None:
    asked = "import os\n[os.environ.get(name) for name in ('NO_COLOR', 'FORCE_COLOR', 'CLICOLOR_FORCE')]"
    assert await caller.logs(asked) == "['1', None, None]\n"


@pytest.mark.parametrize(
    "code",
    [
        f"{BROKEN}!python broken.py",
        f"{BROKEN}import subprocess, sys\ndone = subprocess.run([sys.executable, 'broken.py'])",
        "import json, traceback\ntry: json.loads('{')\nexcept ValueError: print(traceback.format_exc())",
    ],
)
async def test_printed_tracebacks_have_no_host_paths(caller: Caller, code: str) -> None:
    said = text(await caller(code))
    assert 'File "/opt/python/lib/' in said or sys.base_prefix == "/usr"
    assert sys.base_prefix == "/usr" or sys.base_prefix not in said
    assert sys.prefix not in said


async def test_the_codes_own_paths_are_left_alone(caller: Caller) -> None:
    """It may go on to use them."""
    assert await caller.logs("import sys\nprint(sys.prefix)") == f"{sys.prefix}\n"


async def test_help_is_printed(caller: Caller) -> None:
    assert "Return the number of items" in await caller.logs("len?")


INSTALL = "nosuchpackage"


@pytest.mark.parametrize(
    "code",
    [
        f"!pip install {INSTALL}",
        f"!pip3 install -q {INSTALL}",
        f"%pip install {INSTALL}",
        f"pip install {INSTALL}",
        f"!python -m pip install {INSTALL}",
        f"import subprocess, sys\nsubprocess.check_call([sys.executable, '-m', 'pip', 'install', '{INSTALL}'])",
    ],
)
async def test_an_installation_says_that_there_is_no_network(caller: Caller, code: str) -> None:
    started = time.monotonic()
    assert NO_NETWORK in text(await caller(code))
    assert time.monotonic() - started < 20


async def test_pip_itself_is_there(caller: Caller) -> None:
    assert "Requirement already satisfied: pandas" in await caller.logs("!pip install pandas")
    assert "openpyxl" in await caller.logs("!pip list")
    assert (
        await caller.logs("!python -c 'from pip._internal.cli import main; import pip; print(pip.__name__)'") == "pip\n"
    )


@pytest.mark.parametrize(
    "shown", ["fig", "fig.show()", "fig.show(renderer='png')", "import plotly.io as pio\npio.show(fig)"]
)
async def test_a_plotly_figure_is_described(caller: Caller, shown: str) -> None:
    figure = "import plotly.graph_objects as go\nfig = go.Figure(go.Bar(x=['a', 'b'], y=[1, 2], name='sold'))\n"
    said = await caller.logs(f"{figure}fig.update_layout(title='Sales')\n{shown}")
    assert said.startswith("Plotly figure 'Sales': bar 'sold' (2 values). It is interactive and has no picture here")


async def test_an_empty_plotly_figure(caller: Caller) -> None:
    assert (await caller.logs("import plotly.io as pio\npio.show({'data': []})")).startswith("Plotly figure: empty.")


@pytest.mark.parametrize(
    "shown", ["fig", "plt.show()", "plt.show()\nfig", "display(fig)\nplt.show()", "display(fig)\nfig"]
)
async def test_a_figure_is_shown_once(caller: Caller, shown: str) -> None:
    result = await caller(f"import matplotlib.pyplot as plt\nfig, ax = plt.subplots()\nline = ax.plot([1, 2])\n{shown}")
    assert len(images(result)) == 1, text(result)
    assert text(result) == ""


async def test_a_pillow_image_that_is_shown(caller: Caller) -> None:
    result = await caller("from PIL import Image\nImage.new('L', (9, 9)).show()")
    assert [image.media_type for image in images(result)] == ["image/png"]
