"""A request to the upstream as a cassette knows it: without address, headers, secrets, and ids of one session."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import orjson

from understudy.cassettes.names import Names
from understudy.cassettes.rewriting import Rule, in_json, in_text

_LONG_BASE64 = re.compile(r"(?<=;base64,)[A-Za-z0-9+/=_-]{200,}")
_BOUNDARY = re.compile(r'boundary="?([^";,]+)')


@dataclass(frozen=True)
class ModelRequest:
    """Method, path below the base URL with its query, and JSON body; of another body its digest."""

    method: str
    path: str
    body: Any

    @cached_property
    def text(self) -> str:
        """All of it in one way of writing."""
        value = [self.method, self.path, self.body]
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS).decode()

    @cached_property
    def key(self) -> str:
        """By which an answer is found."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def canonical(method: str, path: str, body: Any, rules: Sequence[Rule]) -> tuple[ModelRequest, Names]:
    """The request after `rules`, which take secrets out, and the names that its ids got. Once more changes nothing."""
    names = Names()
    walk = _Walk([*rules, (_LONG_BASE64, _digested), names.in_requests()], names)
    request = ModelRequest(method.upper(), in_text(path, walk.rules), walk.of(body, ()))
    return request, names


def body_of(content: bytes, content_type: str) -> Any:
    """What a request's body is compared by."""
    if not content:
        return None
    kind = content_type.partition(";")[0].strip().lower()
    if kind.endswith("json"):
        try:
            return orjson.loads(content)
        except orjson.JSONDecodeError:
            kind += " (broken)"
    if boundary := _BOUNDARY.search(content_type):
        content = content.replace(boundary[1].encode(), b"boundary")
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest(), "type": kind}


class _Walk:
    """Through a JSON value in the order of its names, which is that in which ids are counted."""

    def __init__(self, rules: Sequence[Rule], names: Names) -> None:
        self.rules = rules
        self._names = names

    def of(self, value: Any, place: tuple[str, ...]) -> Any:
        if isinstance(value, dict):
            return {in_text(str(name), self.rules): self.of(value[name], (*place, name)) for name in sorted(value)}
        if isinstance(value, list):
            return [self.of(one, place) for one in value]
        if isinstance(value, str):
            # Upstreams have ids of many forms: where it stands tells that it is one.
            if place[-1:] == ("tool_call_id",) or place[-2:] == ("tool_calls", "id"):
                return self._names.give("call", value)
            return in_text(value, self.rules)
        return in_json(value, self.rules)


def _digested(match: re.Match[str]) -> str:
    return f"<{len(match[0])} characters, sha256 {hashlib.sha256(match[0].encode()).hexdigest()[:16]}>"
