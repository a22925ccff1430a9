"""/health: what the server runs on."""

from typing import Any

from fastapi import APIRouter

from understudy import __version__
from understudy.errors import NotSupportedError
from understudy.services import House
from understudy.tool_resources import NO_FILE_SEARCH

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
        "embedder": {"name": None, "hint": NO_FILE_SEARCH},
    }


@unsupported.api_route("/vector_stores", methods=["GET", "POST"])
@unsupported.api_route("/vector_stores/{rest:path}", methods=["GET", "POST", "DELETE"])
async def vector_stores() -> None:
    """Say that file search is not here yet."""
    raise NotSupportedError(NO_FILE_SEARCH)


@unsupported.api_route("/uploads", methods=["POST"])
@unsupported.api_route("/uploads/{rest:path}", methods=["POST"])
async def uploads() -> None:
    """Say that uploads in parts are not here yet."""
    raise NotSupportedError("Uploads in parts are not part of this version of Understudy: use POST /v1/files.")
