"""Ids by their order: `<file-1>` is the first file id that a request shows, in whichever session."""

import re

from understudy.cassettes.rewriting import Rule
from understudy.ids import new_id

# Ours, and what Python prints of objects and warnings: addresses, the number of the kernel's process. A chosen id such
# as asst_weather is the same in every session and stays.
_VOLATILE = re.compile(
    r"(?<![A-Za-z0-9])(?:(?P<kind>thread|msg|run|asst|step|call|file|vs|vsfb|upload|part)[_-]"
    r"(?=[a-z]*[A-Z0-9])[A-Za-z0-9]{20,}|(?P<address>(?<=at )0x[0-9a-f]{8,16})|(?P<process>(?<=ipykernel_)\d+))"
)
_NAME = re.compile(r"<(thread|msg|run|asst|step|call|file|vs|vsfb|upload|part|address|process)-[1-9]\d*>")


class Names:
    """The names that one request and its answer give to ids."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._counts: dict[str, int] = {}

    def give(self, kind: str, volatile: str) -> str:
        """The name of an id; a name's own is itself."""
        if _NAME.fullmatch(volatile):
            return volatile
        if volatile not in self._names:
            self._counts[kind] = self._counts.get(kind, 0) + 1
            self._names[volatile] = f"<{kind}-{self._counts[kind]}>"
        return self._names[volatile]

    def in_requests(self) -> Rule:
        """Every id gets its name."""
        return _VOLATILE, lambda match: self.give(_kind(match), match[0])

    def in_answers(self) -> Rule:
        """Ids that the request had get their names, and so do the answer's new tool calls. Others are its own."""

        def name(match: re.Match[str]) -> str:
            known = match[0] in self._names or _kind(match) == "call"
            return self.give(_kind(match), match[0]) if known else match[0]

        return _VOLATILE, name

    def restored(self) -> Rule:
        """The way back, for the ids that this request has; a tool call that is new gets a fresh id."""
        ids = {name: volatile for volatile, name in self._names.items()}

        def stands(match: re.Match[str]) -> str:
            if match[1] == "call":
                return ids.setdefault(match[0], new_id("call"))
            return ids.get(match[0], match[0])

        return _NAME, stands


def _kind(match: re.Match[str]) -> str:
    return match["kind"] or str(match.lastgroup)
