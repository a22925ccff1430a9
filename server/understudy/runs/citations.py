"""Citations: the marks under which the model is told passages, and what the marks in its answer point to.

A mark is `【4:0†notes.pdf】` [R]: the number of a search, that of a result in it, the file's name.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from understudy.schemas.base import JSON

Place = tuple[int, int]
Sources = Mapping[Place, str]
"""Ids of the files that marks point to."""

_PLACE = re.compile(r"[【\[](\d+):(\d+)")
_NUMBER = re.compile(r"[【\[](\d{1,4}):\d{1,4}[†】]")
_LAST_NUMBER = 9000  # of four digits, with room for the searches of one run
_NOT_IN_A_MARK = re.compile(r"[【】\s]+")
_LONGEST_NAME = 200

NO_QUERY = "Error: the search was called without a query."
NOTHING_FOUND = "Nothing was found in the files."
_HOW_TO_CITE = (
    "Passages from the files, the best first. After each sentence of the answer that rests on a passage, repeat the "
    "passage's mark exactly as it stands here, brackets included."
)


def mark(number: int, index: int, filename: str) -> str:
    """The mark of a search's result."""
    return f"【{number}:{index}†{_NOT_IN_A_MARK.sub(' ', filename)[:_LONGEST_NAME]}】"


def place(text: str) -> Place:
    """Where a mark points to."""
    found = _PLACE.match(text)
    assert found is not None, text
    return int(found[1]), int(found[2])


def sources(file_search: JSON) -> dict[Place, str]:
    """What the marks of a stored search point to."""
    return {(file_search["number"], index): result["file_id"] for index, result in enumerate(file_search["results"])}


def told(file_search: JSON) -> str:
    """What the model is told of a stored search."""
    if not file_search["queries"]:
        return NO_QUERY
    if not file_search["results"]:
        return NOTHING_FOUND
    passages = [
        f"{mark(file_search['number'], index, result['file_name'])}\n{result['content'][0]['text']}"
        for index, result in enumerate(file_search["results"])
    ]
    return "\n\n".join([_HOW_TO_CITE, *passages])


def first_number(messages: Iterable[JSON]) -> int:
    """A number above all that earlier answers show, so that a mark the model repeats from them points nowhere."""
    numbers = [int(number) for text in _texts(messages) for number in _NUMBER.findall(text)]
    return max((number for number in numbers if number < _LAST_NUMBER), default=-1) + 1


def _texts(messages: Iterable[JSON]) -> Iterable[str]:
    for message in messages:
        content: Any = message["content"]
        if isinstance(content, str):
            yield content
        else:
            yield from (part["text"] for part in content if part["type"] == "text")
