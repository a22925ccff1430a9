"""What is right in a script and yet not what its writer means: rules and turns that nobody comes to."""

from collections.abc import Iterator

from understudy.script.findings import Finding
from understudy.script.grammar import Rule, Turn
from understudy.script.matching import implied
from understudy.script.script import Script


def review(script: Script) -> list[Finding]:
    """Warnings and notes, in the order of the text."""
    return sorted(finding for index, rule in enumerate(script.rules) for finding in _of_rule(script, index, rule))


def _of_rule(script: Script, index: int, rule: Rule) -> Iterator[Finding]:
    for number, earlier in enumerate(script.rules[:index], 1):
        if earlier.times is None and implied(earlier.when, rule.when):
            message = (
                f"never matches: rule {number} (line {earlier.line}) comes first and matches whatever this one does"
            )
            yield Finding(*rule.place, message, "warning")
            break
    yield from _of_turns(rule)
    called = {tool for turn in rule.steps for tool in turn.tools}
    if missing := sorted(called.difference(rule.when.tools or [])):
        names = ", ".join(missing)
        message = f"calls {names}: `tools: [{names}]` in `when` would keep it from runs that do not offer that"
        yield Finding(*rule.place, message, "note")


def _of_turns(rule: Rule) -> Iterator[Finding]:
    called: set[str] = set()
    end: int | None = None
    for turn in rule.steps:
        if end is not None:
            yield Finding(*turn.place, f"never reached: the run ends with the turn on line {end}", "warning")
            return
        condition = turn.if_ if isinstance(turn, Turn) else None
        for tool in condition.output or () if condition else ():
            if tool not in called:
                message = f"never taken: {tool} is not called before, so there is no output of it"
                yield Finding(*turn.place, message, "warning")
        called.update(turn.tools)
        if condition is None and not turn.calls_tools:
            end = turn.line
    if end is None and turn.calls_tools:
        yield Finding(*turn.place, "the run fails once this call is answered: there is no turn after it", "note")
