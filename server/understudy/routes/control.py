"""/health: what the server runs on."""

from fastapi import APIRouter

from understudy import __version__
from understudy.schemas.health import Health
from understudy.services import House

router = APIRouter()


@router.get("/health", operation_id="health", tags=["Understudy"])
async def health(house: House) -> Health:
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
