"""What the offline model makes of a file search: the sentences of the best passage that the question is about."""

import re

_PASSAGE = re.compile(r"^(【\d+:\d+†([^】\n]*)】)\n(.*?)(?=^【\d+:\d+†[^】\n]*】\n|\Z)", re.DOTALL | re.MULTILINE)
_SENTENCE_ENDS = re.compile(r"(?<=[.!?。！？])\s+|\n\s*\n|\n(?=\s*(?:[-*•#|]|\d+[.)]))")
_WORD = re.compile(r"[^\W_]+")
_STEM = 5
_COMMON = frozenset(
    _WORD.findall(
        "a about an and any are as at be by can could did do does for from had has have how i in is it its me "
        "mentioned my of on or our please say should tell than that the their there these they this to us was we were "
        "what when where which who whose why will with would you your"
    )
)
_QUOTED_LENGTH = 400
_QUERY_LENGTH = 1000


def query(text: str) -> str:
    """What to look for: the user's words."""
    return " ".join(text.split())[:_QUERY_LENGTH]


def report(output: str, question: str) -> str:
    """A quotation from the first passage in `output`, with its mark; or that there is none."""
    found = _PASSAGE.search(output)
    if found is None:
        return "I searched the files and found nothing that answers this."
    mark, filename, passage = found.groups()
    return f'I searched the files. The best passage is in {filename}: "{_quotation(passage, question)}" {mark}'


def quotations(output: str, question: str) -> list[str]:
    """A quotation from each passage in `output`, with its mark."""
    return [f"{_quotation(passage, question)} {mark}" for mark, _, passage in _PASSAGE.findall(output)]


def _quotation(passage: str, question: str) -> str:
    """The sentence that shares most words with the question, and what follows it while there is room."""
    sentences = [" ".join(sentence.split()) for sentence in _SENTENCE_ENDS.split(passage)]
    sentences = [sentence for sentence in sentences if sentence]
    asked = _stems(question)
    best = max(range(len(sentences)), key=lambda number: len(asked & _stems(sentences[number])), default=0)
    quoted = ""
    for sentence in sentences[best:]:
        if quoted and len(quoted) + len(sentence) >= _QUOTED_LENGTH:
            break
        quoted = f"{quoted} {sentence}".strip()
    return quoted if len(quoted) <= _QUOTED_LENGTH else quoted[: _QUOTED_LENGTH - 1] + "…"


def _stems(text: str) -> set[str]:
    return {word[:_STEM] for word in _WORD.findall(text.lower()) if word not in _COMMON}
