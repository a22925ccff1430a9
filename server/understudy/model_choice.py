"""Which language model answers: an upstream, or its cassette, a script, or what stands in for all of them."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from understudy.cassettes.deck import Deck
from understudy.chat_models.auto import AutoModel
from understudy.chat_models.base import ChatModel
from understudy.chat_models.offline import OfflineModel
from understudy.chat_models.upstream import Upstream
from understudy.settings import Settings, UsageError

if TYPE_CHECKING:
    from understudy.script.model import ModelCall, ScriptModel
    from understudy.script.script import Script

log = logging.getLogger("understudy")
STAND_INS: dict[str, Callable[[], ChatModel]] = {"offline": OfflineModel, "auto": AutoModel}
"""What answers where there is no language model."""


@dataclass(slots=True)
class Models:
    """The models of a house."""

    chat_model: ChatModel
    """It answers runs, and chat completions unless it is the upstream, to which those are passed on."""
    upstream: Upstream | None
    deck: Deck | None
    """Where cassettes replace the upstream."""

    async def aclose(self) -> None:
        """Close them."""
        await self.chat_model.aclose()
        if self.upstream is not None:
            await self.upstream.aclose()
        if self.deck is not None and (report := self.deck.eject()):
            text = "cassette %s: %d answers recorded, %d replayed; %d calls missed, %d entries not asked for"
            log.info(text, report.path, report.recorded, report.replayed, len(report.misses), report.unused)


def choose_models(settings: Settings, script: "Script | None") -> Models:
    """What the settings name; `script` is what theirs says. Raises UsageError, and CassetteError for their cassette."""
    deck = _deck(settings)
    upstream = make_upstream(settings, deck) if settings.upstream or settings.cassette else None
    if script is not None:
        return Models(scripted(script, upstream), upstream, deck)
    return Models(upstream or STAND_INS[settings.stand_in](), upstream, deck)


def make_upstream(settings: Settings, deck: Deck | None) -> Upstream:
    """The upstream that the settings name, or one that is nothing but its cassette."""
    return Upstream(settings.upstream, settings.upstream_key, deck)


def _deck(settings: Settings) -> Deck | None:
    if settings.cassette is None and not settings.test_api:
        return None
    deck = Deck(redact=settings.redact, pacing=settings.cassette_pacing)
    if settings.cassette is not None:
        deck.insert(settings.cassette, settings.cassette_mode)
    return deck


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


def read_script(path: Path | None) -> "Script | None":
    """The script in a file. Raises UsageError."""
    if path is None:
        return None
    from understudy.script.script import Script, ScriptError

    try:
        return Script.read(path)
    except OSError as error:
        raise UsageError(f"--script {path}: {error.strerror}") from error
    except ScriptError as error:
        raise UsageError(f"--script {path} is wrong:\n{error}") from error
