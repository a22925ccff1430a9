"""The fixtures of tests/sandbox with a container engine's wall: tests that are imported from there meet it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.sandbox.conftest import anyio_backend, caller, cramped, descendants, hurried, root, watched
from understudy_sandbox import Sandbox, SandboxLimits
from understudy_sandbox.limits import MIB

__all__ = ["anyio_backend", "caller", "cramped", "descendants", "hurried", "root"]


@pytest.fixture(scope="session")
async def sandbox(root: Path) -> AsyncIterator[Sandbox]:
    sandbox = Sandbox(wall="docker", root=root)
    assert (await sandbox.probe()).wall, (await sandbox.probe()).hint
    yield sandbox
    await sandbox.aclose()


@pytest.fixture(scope="session")
async def hasty(root: Path) -> AsyncIterator[Sandbox]:
    limits = SandboxLimits(
        timeout=1.0, grace=1.0, received=2 * 1024 * 1024, images=2, message=8 * 1024 * 1024, files=200
    )
    sandbox = Sandbox(wall="docker", root=root / "hasty", limits=limits)
    yield sandbox
    await sandbox.aclose()


@pytest.fixture(scope="session")
async def tight(root: Path) -> AsyncIterator[Sandbox]:
    limits = SandboxLimits(timeout=30.0, grace=1.0, memory=192 * MIB, disk=48 * MIB, files=300)
    async with watched(Sandbox(wall="docker", root=root / "tight", limits=limits)) as sandbox:
        yield sandbox
