"""The only source of time: whole seconds on the wire, a sleep for what waits."""

import time

import anyio


def now() -> int:
    """Seconds since the epoch, as every `*_at` field of the API counts them."""
    return int(time.time())


async def sleep(seconds: float) -> None:
    """Wait."""
    await anyio.sleep(seconds)
