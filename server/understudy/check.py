"""`understudy check`: what is wrong in scripts, line by line; their JSON Schema for editors."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from understudy.script.findings import Finding, ScriptError
from understudy.script.review import review
from understudy.script.schema import schema_text
from understudy.script.script import Script
from understudy.settings import StartError, UsageError


def check(paths: Sequence[Path]) -> None:
    """Print the findings. Raises StartError for errors and warnings, UsageError where a file cannot be read."""
    counts: Counter[str] = Counter()
    for path in paths:
        findings = _findings(path)
        counts.update(finding.severity for finding in findings)
        for finding in findings:
            print(finding.shown(str(path)))
    if counts["error"] or counts["warning"]:
        raise StartError(f"{counts['error']} errors, {counts['warning']} warnings")
    print(f"{len(paths)} script{'s' if len(paths) > 1 else ''} checked: nothing wrong")


def print_schema() -> None:
    """Print the JSON Schema."""
    print(schema_text(), end="")


def _findings(path: Path) -> list[Finding]:
    try:
        return review(Script.read(path))
    except ScriptError as error:
        return error.findings
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
