"""What GET /health says."""

from typing import Literal

from typing_extensions import TypedDict


class ModelInUse(TypedDict):
    """Who answers."""

    backend: str
    upstream: str | None


class WallInForce(TypedDict):
    """What the code interpreter runs behind; `hint` says what to do where it is none."""

    wall: str | None
    hint: str | None


class EmbedderInUse(TypedDict):
    """What file search embeds with; `hint` says what to do where it is none."""

    name: str | None
    hint: str | None


class Health(TypedDict):
    """The parts of a running server."""

    status: Literal["ok"]
    version: str
    model: ModelInUse
    sandbox: WallInForce
    embedder: EmbedderInUse
