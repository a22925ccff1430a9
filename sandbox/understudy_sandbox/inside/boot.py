"""The first program behind a wall: gives up what is left of root, sets limits, then starts the kernel.

Run as `python -s -P boot.py` with its settings, as JSON, in the environment variable UNDERSTUDY_BOOT.
"""

import importlib.util
import json
import os
import resource
import select
import sys
from collections.abc import Callable
from typing import Any

PIECE = 256 * 1024
"""Characters that the kernel sends at once."""


def need_server() -> None:
    """End where the server has ended: the parent whose death ends a jail must be there to begin with."""
    pipe = select.poll()
    pipe.register(0, 0)
    if pipe.poll(0):
        sys.exit("the server is gone")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)


def become(uid: int) -> None:
    """Turn from root, without capabilities but these two, into an ordinary user for good."""
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    # The change of user hid /proc/self from its own process; PR_SET_DUMPABLE (4) shows it again.
    import ctypes

    ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)


def limit(limits: dict[str, int]) -> None:
    """Set resource limits by name, soft and hard; what the platform refuses is left as it is."""
    for name, value in limits.items():
        number = getattr(resource, f"RLIMIT_{name}", None)
        if number is None:
            continue
        hard = resource.getrlimit(number)[1]
        ceiling = value if hard == resource.RLIM_INFINITY else min(value, hard)
        try:
            resource.setrlimit(number, (ceiling, ceiling))
        except (OSError, ValueError):
            continue


def settle_fonts(folder: str) -> None:
    """Copy matplotlib's list of fonts to where it is looked for, so that no kernel has to build it."""
    cache = os.path.join(os.environ["HOME"], ".cache", "matplotlib")
    os.makedirs(cache, exist_ok=True)
    for name in os.listdir(folder):
        with open(os.path.join(folder, name), "rb") as source, open(os.path.join(cache, name), "wb") as copy:
            copy.write(source.read())


def bound_messages() -> None:
    """Let the kernel send text soon and in pieces: it is streamed, and a flood must not become one giant message."""
    from ipykernel.iostream import OutStream

    OutStream.flush_interval = 0.05
    plain_write = OutStream.write

    def write(self: Any, string: str) -> int | None:
        if isinstance(string, str) and not string.isascii():
            # Half a character, such as a file's odd name may hold, would take all that waits with it.
            string = string.encode("utf-8", "replace").decode()
        if not isinstance(string, str) or len(string) + getattr(self, "_unsent", 0) < PIECE:
            self._unsent = getattr(self, "_unsent", 0) + len(string)
            return plain_write(self, string)
        for start in range(0, len(string), PIECE):
            plain_write(self, string[start : start + PIECE])
            self.flush()
        self._unsent = 0
        return len(string)

    OutStream.write = write  # type: ignore[method-assign]


def lossy(pack: Callable[[Any], bytes]) -> Callable[[Any], bytes]:
    """Let a message with half a character in it, such as an error's, be sent without that and not be lost."""
    from jupyter_client.jsonutil import json_default

    def pack_all(content: Any) -> bytes:
        try:
            return pack(content)
        except UnicodeEncodeError:
            return json.dumps(content, default=json_default, ensure_ascii=False).encode("utf-8", "replace")

    return pack_all


def neighbour(name: str) -> Any:
    """A program beside this one as a module that no import of the code will meet."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), f"{name}.py")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def start_kernel(arguments: list[str]) -> None:
    """Run the Jupyter kernel until it ends."""
    import zmq
    from ipykernel.kernelapp import IPKernelApp

    class PatientKernelApp(IPKernelApp):
        """A kernel that drops no output while its reader is slow; what waits counts as the jail's memory."""

        def init_iopub(self, context: zmq.Context[Any]) -> None:
            context.setsockopt(zmq.SNDHWM, 0)
            super().init_iopub(context)  # type: ignore[no-untyped-call]

        def init_kernel(self) -> None:
            self.session.pack = lossy(self.session.pack)
            # Nobody debugs over the wire; importing what could would be a quarter of the start and 8 MB.
            sys.modules["debugpy"] = None  # type: ignore[assignment]
            super().init_kernel()  # type: ignore[no-untyped-call]
            del sys.modules["debugpy"]

    bound_messages()
    neighbour("absences").accept()
    PatientKernelApp.launch_instance(argv=arguments)


def main() -> None:
    """Settle in, then become the canary, the builder of the font list or the kernel."""
    settings: dict[str, Any] = json.loads(os.environ.pop("UNDERSTUDY_BOOT"))
    if settings["landlock"] is not None:
        neighbour("reaper").divide(settings["landlock"], neighbour("landlock"), neighbour("seccomp"))
    if settings.get("keeper"):
        seccomp = neighbour("seccomp")
        seccomp.load(seccomp.assemble())
        neighbour("keeper").part(settings["role"])
    if settings["uid"] is not None:
        become(settings["uid"])
    limit(settings["limits"])
    os.umask(0o022)
    if settings["role"] == "canary":
        neighbour("canary").main(settings)
    elif settings["role"] == "fonts":
        os.environ["MPLCONFIGDIR"] = settings["cache"]
        import matplotlib.font_manager  # noqa: F401 - importing it writes the list
    else:
        need_server()
        if settings["fonts"]:
            settle_fonts(settings["fonts"])
        start_kernel(settings["arguments"])


if __name__ == "__main__":
    main()
