"""What the tests have asked of the servers: who claims to cover an operation or an event is held to it."""

import re
from functools import cache

import httpx

from understudy.app import create_app
from understudy.settings import Settings

_METHODS = ("get", "post", "delete")
operations: set[str] = set()
"""Operations answered since the last reset, refused ones too."""
events: set[str] = set()
"""Names of the events streamed since the last reset."""


def reset() -> None:
    """Forget what was seen."""
    operations.clear()
    events.clear()


def note(response: httpx.Response) -> None:
    """An event hook of httpx: which operation was that?"""
    for method, pattern, operation in _patterns():
        if method == response.request.method and pattern.fullmatch(response.request.url.path):
            operations.add(operation)
            return


@cache
def all_operations() -> dict[str, str]:
    """`POST /threads` and so on, by operation id, as the server itself describes them."""
    paths = create_app(Settings()).openapi()["paths"]
    return {
        paths[path][method]["operationId"]: f"{method.upper()} {path.removeprefix('/v1')}"
        for path in paths
        if path.startswith("/v1/")
        for method in _METHODS
        if method in paths[path]
    }


@cache
def _patterns() -> list[tuple[str, re.Pattern[str], str]]:
    # Fixed paths first: /threads/runs is no thread.
    described = sorted(all_operations().items(), key=lambda one: one[1].count("{"))
    return [
        (method, re.compile("/v1" + re.sub(r"\{\w+\}", "[^/]+", path)), operation)
        for operation, (method, path) in ((name, place.split(" ")) for name, place in described)
    ]
