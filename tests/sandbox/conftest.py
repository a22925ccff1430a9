"""Real jails and real kernels. One sandbox serves all tests, each test has a session of its own."""

import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import pytest

from tests.readable_python import readable_python
from understudy_sandbox import ExecResult, Image, KernelSession, Logs, Output, Sandbox, SandboxLimits
from understudy_sandbox.limits import MIB


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class Caller:
    """A session under test, and what it passed on while code ran."""

    sandbox: Sandbox
    key: str
    passed_on: list[tuple[float, Output]] = field(default_factory=list)

    async def session(self) -> KernelSession:
        return await self.sandbox.session(self.key)

    async def __call__(self, code: str) -> ExecResult:
        self.passed_on.clear()
        return await (await self.session()).execute(code, self.take)

    async def take(self, output: Output) -> None:
        self.passed_on.append((time.monotonic(), output))

    async def logs(self, code: str) -> str:
        """All text that the code leaves; it must end well."""
        result = await self(code)
        assert result.status == "ok", text(result)
        return text(result)


SOCKETS = "__import__('os').path.dirname(__import__('ipykernel.connect').connect.get_connection_file())"
"""What gives code the folder of its kernel's sockets."""


def text(result: ExecResult) -> str:
    return "".join(output.text for output in result.outputs if isinstance(output, Logs))


def images(result: ExecResult) -> list[Image]:
    return [output for output in result.outputs if isinstance(output, Image)]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a module's tests behind each of the walls that it names."""
    walls = getattr(metafunc.module, "WALLS", None)
    if walls and "wall" in metafunc.fixturenames:
        metafunc.parametrize("wall", walls, indirect=True, scope="session")


@pytest.fixture(scope="session")
def wall(request: pytest.FixtureRequest) -> str:
    """The wall that the fixtures' sandboxes have."""
    return str(getattr(request, "param", "bubblewrap"))


@pytest.fixture(scope="session")
def python(wall: str) -> Path | None:
    return readable_python() if wall == "landlock" else None


@pytest.fixture(scope="session")
def root() -> Iterator[Path]:
    """A folder that other users can pass, which pytest's own are not."""
    with TemporaryDirectory(prefix="understudy-test-") as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


@pytest.fixture(scope="session")
async def sandbox(root: Path, wall: str, python: Path | None) -> AsyncIterator[Sandbox]:
    sandbox = Sandbox(wall=wall, root=root / wall, python=python)
    yield sandbox
    await sandbox.aclose()


@pytest.fixture(scope="session")
async def hasty(root: Path, wall: str, python: Path | None) -> AsyncIterator[Sandbox]:
    """A sandbox with small limits."""
    limits = SandboxLimits(
        timeout=1.0, grace=1.0, received=2 * 1024 * 1024, images=2, message=8 * 1024 * 1024, files=200
    )
    sandbox = Sandbox(wall=wall, root=root / f"{wall}-hasty", python=python, limits=limits)
    yield sandbox
    await sandbox.aclose()


@pytest.fixture
async def tight(root: Path, wall: str, python: Path | None) -> AsyncIterator[Sandbox]:
    """A sandbox with little room, and the watchdog over it; one a test, as task groups must end in their order."""
    limits = SandboxLimits(timeout=30.0, grace=1.0, memory=192 * MIB, disk=48 * MIB, files=300, warm=0)
    async with watched(Sandbox(wall=wall, root=root / f"{wall}-tight", python=python, limits=limits)) as sandbox:
        yield sandbox


@asynccontextmanager
async def watched(sandbox: Sandbox) -> AsyncIterator[Sandbox]:
    """Run a sandbox's watchdog as the server does."""
    async with anyio.create_task_group() as group:
        group.start_soon(sandbox.watch)
        try:
            yield sandbox
        finally:
            group.cancel_scope.cancel()
            with anyio.CancelScope(shield=True):
                await sandbox.aclose()


@pytest.fixture
async def cramped(tight: Sandbox, request: pytest.FixtureRequest) -> AsyncIterator[Caller]:
    caller = Caller(tight, request.node.nodeid)
    yield caller
    await tight.discard(caller.key)


@pytest.fixture
async def caller(sandbox: Sandbox, request: pytest.FixtureRequest) -> AsyncIterator[Caller]:
    caller = Caller(sandbox, request.node.nodeid)
    yield caller
    await sandbox.discard(caller.key)


@pytest.fixture
async def hurried(hasty: Sandbox, request: pytest.FixtureRequest) -> AsyncIterator[Caller]:
    caller = Caller(hasty, request.node.nodeid)
    yield caller
    await hasty.discard(caller.key)


@pytest.fixture
def descendants() -> Callable[[int], set[int]]:
    return _descendants


def _descendants(pid: int) -> set[int]:
    """Live processes below a process, found in /proc."""
    parents = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if fields[0] != "Z":
                parents[int(folder.name)] = int(fields[1])
    found: set[int] = set()
    while fresh := {child for child, parent in parents.items() if parent in {pid, *found}} - found:
        found |= fresh
    return found
