"""Which language model answers: an upstream, a script, or what stands in for both."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from understudy.chat_models.auto import AutoModel
from understudy.chat_models.base import ChatModel
from understudy.chat_models.offline import OfflineModel
from understudy.chat_models.upstream import Upstream
from understudy.settings import Settings, UsageError

if TYPE_CHECKING:
    from understudy.script.model import ModelCall, ScriptModel
    from understudy.script.script import Script


STAND_INS: dict[str, Callable[[], ChatModel]] = {"offline": OfflineModel, "auto": AutoModel}
"""What answers where there is no language model."""


@dataclass(frozen=True, slots=True)
class Models:
    """The models of a house."""

    chat_model: ChatModel
    """It answers runs, and chat completions unless it is the upstream, to which those are passed on."""
    upstream: Upstream | None

    async def aclose(self) -> None:
        """Close them."""
        await self.chat_model.aclose()
        if self.upstream is not None:
            await self.upstream.aclose()


def choose_models(settings: Settings) -> Models:
    """What the settings name. Raises UsageError."""
    upstream = Upstream(settings.upstream, settings.upstream_key) if settings.upstream else None
    if settings.script is not None:
        return Models(scripted(_read(settings.script), upstream), upstream)
    return Models(upstream or STAND_INS[settings.stand_in](), upstream)


def scripted(
    script: "Script", upstream: Upstream | None, note: "Callable[[ModelCall], None] | None" = None
) -> "ScriptModel":
    """The model that does what a script says; `note` hears of each call. Raises UsageError."""
    from understudy.script.model import ScriptModel

    others: dict[str, ChatModel] = {name: make() for name, make in STAND_INS.items()}
    if upstream is not None:
        others["upstream"] = upstream
    elif script.on_miss == "upstream":
        raise UsageError(f"{script.name}: on_miss: upstream needs --upstream URL")
    return ScriptModel(script, others, note) if note else ScriptModel(script, others)


def _read(path: Path) -> "Script":
    from understudy.script.script import Script, ScriptError

    try:
        return Script.read(path)
    except OSError as error:
        raise UsageError(f"--script {path}: {error.strerror}") from error
    except ScriptError as error:
        raise UsageError(f"--script {path} is wrong:\n{error}") from error
