"""From a file to its text, in a child process that may crash, hang or eat memory without harm to the server."""

from understudy_retrieval.parsing.isolation import parse
from understudy_retrieval.parsing.limits import ParseLimits

__all__ = ["ParseLimits", "parse"]
