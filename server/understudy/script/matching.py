"""Whether conditions hold, what they find, and why they do not."""

from collections.abc import Callable, Mapping

from understudy.script.conversation import Conversation
from understudy.script.grammar import If, When
from understudy.script.pattern import Pattern

Groups = dict[str, str | None]
_SHOWN = 80


class Match:
    """Conditions held against a conversation: `groups` of all that were found, `misses` for what was not."""

    def __init__(self, when: When, conversation: Conversation) -> None:
        self.groups: Groups = {}
        self.misses: list[str] = []
        if when.user:
            self._text(when.user, conversation.user, "user")
        if when.assistant:
            self._names("assistant", when.assistant, conversation.assistant)
        if when.model:
            self._names("model", when.model, (conversation.model,))
        if missing := [tool for tool in when.tools or [] if tool not in conversation.tools]:
            self.misses.append(f"the run does not offer {', '.join(missing)}")
        for key, pattern in (when.metadata or {}).items():
            self._names(f"metadata.{key}", pattern, tuple(_present(conversation.metadata, key)))
        if isinstance(when, If):
            texts = {output.tool: output.text for output in conversation.outputs()}
            for tool, pattern in (when.output or {}).items():
                if tool in texts:
                    self._text(pattern, texts[tool], f"the output of {tool}")
                else:
                    self.misses.append(f"{tool} has answered nothing")

    def _text(self, pattern: Pattern, text: str, name: str) -> None:
        verb = "match" if pattern.regex else "contain"
        self._take(pattern.find, (text,), f"{name} does not {verb} {pattern}")

    def _names(self, name: str, pattern: Pattern, given: tuple[str, ...]) -> None:
        shown = " or ".join(map(shortened, given)) or "not set"
        self._take(pattern.fit, given, f"{name} is {shown}, not {pattern}")

    def _take(self, look: Callable[[str], Groups | None], texts: tuple[str, ...], miss: str) -> None:
        for text in texts:
            if (groups := look(text)) is not None:
                # The first condition's ${1} stays: user comes first.
                self.groups = groups | self.groups
                return
        self.misses.append(miss)


def shortened(text: str, length: int = _SHOWN) -> str:
    """In quotes, on one line."""
    line = " ".join(text.split())
    return f'"{line if len(line) <= length else line[: length - 1] + "…"}"'


def implied(weaker: When, stronger: When) -> bool:
    """Whether the first holds wherever the second does, as far as that is plain to see."""
    return (
        _implied(weaker.user, stronger.user, whole=False)
        and _implied(weaker.assistant, stronger.assistant, whole=True)
        and _implied(weaker.model, stronger.model, whole=True)
        and set(weaker.tools or []) <= set(stronger.tools or [])
        and all(
            _implied(pattern, (stronger.metadata or {}).get(key), whole=True)
            for key, pattern in (weaker.metadata or {}).items()
        )
    )


def _implied(weaker: Pattern | None, stronger: Pattern | None, *, whole: bool) -> bool:
    if weaker is None or weaker == stronger:
        return True
    if stronger is None or stronger.regex:
        return False
    if whole:
        return weaker.fit(stronger.source) is not None
    return not weaker.regex and weaker.find(stronger.source) is not None


def _present(values: Mapping[str, str], key: str) -> list[str]:
    return [values[key]] if key in values else []
