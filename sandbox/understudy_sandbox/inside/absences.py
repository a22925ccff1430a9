"""What a kernel lacks here (a keyboard, a terminal, a network, a browser), and what it says or does instead.

Replaces parts of ipykernel, IPython and plotly before any code of the model runs.
"""

import codecs
import importlib.util
import os
import select
import signal
import socket
import subprocess
import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

NO_KEYBOARD = "Nobody can type here: put the value into the code instead of asking for it."
NO_BROWSER = (
    "It is interactive and has no picture here: save it with fig.write_html('/mnt/data/figure.html') and link to it, "
    "or draw it with matplotlib."
)
_SHADOW = os.path.join(os.path.dirname(os.path.abspath(__file__)), "shadow")
_LENGTHS = ("x", "y", "z", "values", "labels", "r", "lat", "lon", "locations", "open", "a", "value")


def accept() -> None:
    """Put everything in place."""
    no_keyboard()
    no_terminal()
    if not _network():
        no_network()
    no_browser()


def no_keyboard() -> None:
    """Let `input` and `getpass` fail at once, and say what to do."""
    from ipykernel.kernelbase import Kernel

    Kernel.raw_input = Kernel.getpass = ask  # type: ignore[method-assign]


def ask(*_: object, **__: object) -> str:
    """What `input` does here; its line is the last of a traceback."""
    from IPython.core.error import StdinNotImplementedError

    raise StdinNotImplementedError(NO_KEYBOARD)


def no_terminal() -> None:
    """Run `!commands` through pipes: at a pseudo-terminal they would wait for keys, and use colours. Print `name?`."""
    from ipykernel import zmqshell

    def init_environment(self: object) -> None:  # noqa: ARG001
        os.environ.update(TERM="dumb", NO_COLOR="1", PAGER="cat", GIT_PAGER="cat")

    def page(self: object, strg: str | dict[str, str], *args: object, **kwargs: object) -> None:  # noqa: ARG001
        print(strg if isinstance(strg, str) else strg.get("text/plain", ""))  # noqa: T201

    shell: Any = zmqshell.ZMQInteractiveShell
    shell.init_environment, shell.payloadpage_page = init_environment, page
    vars(zmqshell)["system"] = run


def run(command: str) -> int:
    """Run a shell command, print what it says while it says it; its exit code."""
    process = subprocess.Popen(  # noqa: S602 - it is what the code asks for
        command,
        shell=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    assert process.stdout is not None
    output, decoder = process.stdout.fileno(), codecs.getincrementaldecoder("utf-8")("replace")
    try:
        # What it left running in the background may hold the pipe open for ever.
        while True:
            if select.select([output], [], [], 0.05)[0]:
                chunk = os.read(output, 65536)
                if not chunk:
                    break
                sys.stdout.write(decoder.decode(chunk))
            elif process.poll() is not None:
                break
        sys.stdout.write(decoder.decode(b"", final=True))
        sys.stdout.flush()
        return process.wait()
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    finally:
        process.stdout.close()


def _network() -> bool:
    # Connecting a datagram socket sends nothing, it only asks whether there is a way to that (reserved) address.
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(("192.0.2.1", 53))
    except OSError:
        return False
    return True


def _open_executable(path: str, flags: int) -> int:
    return os.open(path, flags, 0o755)


def no_network() -> None:
    """Let pip fail at once and say why, however it is called."""
    from IPython.core.magics.packaging import PackagingMagics

    folder = os.path.join(os.environ["HOME"], ".local", "bin")
    os.makedirs(folder, exist_ok=True)
    for name in ("pip", "pip3"):
        # Born executable: behind some walls nothing can be made so.
        with open(os.path.join(folder, name), "w", opener=_open_executable) as script:
            script.write(f'#!/bin/sh\nexec "{sys.executable}" -m pip "$@"\n')
    os.environ["PATH"] = f"{folder}:{os.environ['PATH']}"
    # For programs that the code starts; this one's own path is made already.
    os.environ["PYTHONPATH"] = _SHADOW
    os.environ.update(PIP_NO_INDEX="1", PIP_NO_INPUT="1", PIP_DISABLE_PIP_VERSION_CHECK="1")

    def pip(self: Any, line: str) -> None:
        self.shell.system(f"pip {line}")

    PackagingMagics.pip = pip  # type: ignore[method-assign]


def no_browser() -> None:
    """Let plotly describe its figures, which it draws in browsers only."""
    sys.meta_path.insert(0, _PlotlyFinder())


class _PlotlyFinder(MetaPathFinder):
    """Waits for plotly's module that shows figures, and leaves."""

    def find_spec(self, name: str, path: object, target: object = None) -> ModuleSpec | None:  # noqa: ARG002
        if name != "plotly.io._renderers":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            loader: Any = spec.loader
            plain_exec = loader.exec_module

            def exec_module(module: ModuleType) -> None:
                plain_exec(module)
                module.show = show  # type: ignore[attr-defined]

            loader.exec_module = exec_module
        return spec


def show(fig: Any, *args: object, **kwargs: object) -> None:  # noqa: ARG001
    """What `plotly.io.show` does here."""
    from IPython.display import display

    display({"text/plain": f"{describe(fig)} {NO_BROWSER}"}, raw=True)  # type: ignore[no-untyped-call]


def describe(fig: Any) -> str:
    """A figure in a sentence."""
    figure = fig if isinstance(fig, dict) else fig.to_plotly_json()
    title = (figure.get("layout") or {}).get("title") or ""
    if isinstance(title, dict):
        title = title.get("text") or ""
    traces = [_describe_trace(trace) for trace in figure.get("data") or ()]
    return f"Plotly figure{f' {title!r}' if title else ''}: {', '.join(traces) or 'empty'}."


def _describe_trace(trace: dict[str, Any]) -> str:
    name = f" {trace['name']!r}" if trace.get("name") else ""
    lengths = [len(trace[key]) for key in _LENGTHS if hasattr(trace.get(key), "__len__")]
    return f"{trace.get('type', 'scatter')}{name}" + (f" ({max(lengths)} values)" if lengths else "")
