"""/models: the names of the map, then the upstream's."""

import fnmatch
import logging
import re

from fastapi import APIRouter

from understudy import refusals
from understudy.chat_models.base import ChatModelError
from understudy.chat_models.upstream import RefusedKeyError
from understudy.errors import AuthenticationError, BadGatewayError
from understudy.schemas.models import Model, ModelDeleted, ModelList
from understudy.services import CallerKey, House, Services
from understudy.settings import PASS_THROUGH, Settings

log = logging.getLogger("understudy")
router = APIRouter(prefix="/v1/models", tags=["Models"])

_GLOB = re.compile(r"[*?\[]")


@router.get("", operation_id="listModels")
async def list_models(house: House, caller_key: CallerKey) -> ModelList:
    """List the models that are served. Any other name is served too, unless the upstream refuses it.

    While the upstream does not tell its own, those that the settings name are listed: a client that looks for one of
    them finds it. With none to list, an empty list would be a lie and the error is told.
    """
    models = {name: _ours(name) for name in _configured(house.settings)}
    try:
        listed = await _listed(house, caller_key)
    except BadGatewayError as error:
        if not models:
            raise
        log.warning("models: %s", error.message)
        listed = []
    for model in listed:
        models.setdefault(model.id, model)
    return ModelList(data=list(models.values()))


@router.get("/{model:path}", operation_id="retrieveModel")
async def retrieve_model(model: str, house: House, caller_key: CallerKey) -> Model:
    """Retrieve a model: one that is served here under that name, or one that the upstream lists."""
    if not house.settings.upstream or _is_served(house.settings, model):
        return _ours(model)
    for listed in await _listed(house, caller_key):
        if listed.id == model:
            return listed
    raise refusals.MODEL_NOT_FOUND(model=model)


@router.delete("/{model:path}", operation_id="deleteModel")
async def delete_model(model: str, house: House, caller_key: CallerKey) -> ModelDeleted:
    """Refuse: only fine-tuned models can be deleted, and none is kept here."""
    await retrieve_model(model, house, caller_key)
    raise refusals.MODEL_STAYS()


def _configured(settings: Settings) -> list[str]:
    """The names that the settings tell; a glob is none."""
    names = [name for name, _ in settings.models if not _GLOB.search(name)]
    return names + ([settings.model] if settings.model else [])


def _is_served(settings: Settings, name: str) -> bool:
    """Whether a run with that model is served, whatever the upstream lists."""
    return bool(settings.model) or any(fnmatch.fnmatchcase(name, known) for known, _ in settings.models)


def _ours(name: str) -> Model:
    return Model(id=name, created=0, owned_by="understudy")


async def _listed(house: Services, caller_key: str | None) -> list[Model]:
    try:
        listed = await house.chat_model.list_models(caller_key)
    except RefusedKeyError as error:
        if house.settings.upstream_key == PASS_THROUGH:
            raise AuthenticationError(error.message, code="invalid_api_key") from error
        raise BadGatewayError(error.message) from error
    except ChatModelError as error:
        raise BadGatewayError(error.message) from error
    return [_theirs(one) for one in listed]


def _theirs(one: dict[str, object]) -> Model:
    owner, created = one.get("owned_by"), one.get("created")
    return Model(
        id=str(one["id"]), created=created if isinstance(created, int) else 0, owned_by=str(owner or "upstream")
    )
