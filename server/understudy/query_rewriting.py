"""`rewrite_query` without a model: what is asked for, without the words that only ask."""

import re

_SPACES = re.compile(r"\s+")
_OPENINGS = re.compile(
    r"^(?:(?:hi|hello|hey|please|thanks|thank you|dear \w+)\b[\s,.!]*"
    r"|(?:can|could|would|will) (?:you|we|i) (?:please |kindly )?(?:tell|show|give|help|explain(?: to)?|find|list)?"
    r"(?: me| us)?(?: out)?\b[\s,]*"
    r"|i(?:'d| would) (?:like|love) to (?:know|see|find out|learn|understand)\b[\s,]*"
    r"|i(?: want| need|'m trying| am trying) to (?:know|see|find out|learn|understand)\b[\s,]*"
    r"|(?:do|does) (?:you|anyone) (?:know|happen to know)\b[\s,]*"
    r"|(?:tell|show|give) (?:me|us)\b[\s,]*"
    r"|i (?:was|am|'m) wondering(?: if| whether)?\b[\s,]*"
    r"|(?:if|whether|about)\b\s+"
    r"|(?:what|who|where|when|which)(?:'s| is| are| was| were)\b\s*"
    r"|how (?:do|does|did|can|could|should) (?:i|you|we|one)\b\s*)",
    re.IGNORECASE,
)
_CLOSINGS = re.compile(r"(?:[\s,]*\b(?:please|thanks|thank you|for me)\b)?[\s?!.]*$", re.IGNORECASE)


def rewritten(query: str) -> str:
    """The query without politeness and question words; itself where nothing else is in it."""
    text = _SPACES.sub(" ", query).strip()
    previous = ""
    while previous != text:
        previous = text
        text = _CLOSINGS.sub("", _OPENINGS.sub("", text))
    return text or query
