"""What is wrong in a script, and where."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One thing; line and column count from 1."""

    line: int
    column: int
    message: str
    severity: Severity = "error"

    def shown(self, name: str) -> str:
        """As compilers say it, for a script of that name."""
        return f"{name}:{self.line}:{self.column}: {self.severity}: {self.message}"


class ScriptError(ValueError):
    """A script is not one: `findings` says why."""

    def __init__(self, name: str, findings: Iterable[Finding]) -> None:
        self.findings = sorted(findings)
        super().__init__("\n".join(finding.shown(name) for finding in self.findings))
