"""/models: the names of the map, then the upstream's."""

from fastapi import APIRouter

from understudy.chat_models.base import ChatModelError
from understudy.errors import InternalServerError, NotFoundError, PermissionDeniedError
from understudy.schemas.base import Deleted
from understudy.schemas.models import Model
from understudy.services import CallerKey, House, Services

router = APIRouter(prefix="/models", tags=["Models"])


@router.get("", operation_id="listModels")
async def list_models(house: House, caller_key: CallerKey) -> dict[str, str | list[Model]]:
    """List the models that are served. Any other name is served too, unless the upstream refuses it."""
    return {"object": "list", "data": await _served(house, caller_key)}


@router.get("/{model:path}", operation_id="retrieveModel")
async def retrieve_model(model: str, house: House, caller_key: CallerKey) -> Model:
    """Retrieve a model."""
    for served in await _served(house, caller_key):
        if served.id == model:
            return served
    raise NotFoundError(f"The model '{model}' does not exist", param="model", code="model_not_found")


@router.delete("/{model:path}", operation_id="deleteModel")
async def delete_model(model: str, house: House, caller_key: CallerKey) -> Deleted:
    """Refuse: only fine-tuned models can be deleted, and none is kept here."""
    await retrieve_model(model, house, caller_key)
    raise PermissionDeniedError("You have insufficient permissions for this operation.")


async def _served(house: Services, caller_key: str | None) -> list[Model]:
    try:
        listed = await house.chat_model.list_models(caller_key)
    except ChatModelError as error:
        raise InternalServerError(error.message) from error
    models = {name: Model(id=name, created=0, owned_by="understudy") for name, _ in house.settings.models}
    for one in listed:
        owner, created = one.get("owned_by"), one.get("created")
        model = Model(
            id=one["id"], created=created if isinstance(created, int) else 0, owned_by=str(owner or "upstream")
        )
        models.setdefault(model.id, model)
    return [model for name, model in models.items() if "*" not in name]
