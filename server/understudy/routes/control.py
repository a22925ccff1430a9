"""/health: what the server runs on."""

from typing import Any

from fastapi import APIRouter

from understudy import __version__
from understudy.errors import NotSupportedError
from understudy.services import House

router = APIRouter()
unsupported = APIRouter(include_in_schema=False)


@router.get("/health", operation_id="health", tags=["Understudy"])
async def health(house: House) -> dict[str, Any]:
    """Answer once requests are taken: the version, the model, the sandbox's wall, the embedder."""
    verdict = await house.sandbox.probe()
    settings = house.settings
    return {
        "status": "ok",
        "version": __version__,
        "model": {"backend": house.chat_model.backend, "upstream": settings.shown_upstream},
        "sandbox": {"wall": verdict.wall, "hint": verdict.hint},
        "embedder": {"name": house.retrieval.embedder, "hint": house.retrieval.hint},
    }


@unsupported.api_route("/uploads", methods=["POST"])
@unsupported.api_route("/uploads/{rest:path}", methods=["POST"])
async def uploads() -> None:
    """Say that uploads in parts are not here yet."""
    raise NotSupportedError("Uploads in parts are not part of this version of Understudy: use POST /v1/files.")
