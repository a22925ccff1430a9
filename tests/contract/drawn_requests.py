"""Requests drawn from an OpenAPI document: what it allows, and what it forbids in one place."""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from hypothesis.configuration import set_hypothesis_home_dir
from hypothesis.strategies import DrawFn, SearchStrategy

JSON = dict[str, Any]

# Its cache, which would lie in the working directory else.
set_hypothesis_home_dir(Path(tempfile.gettempdir()) / "hypothesis")


@dataclass(frozen=True)
class Id:
    """Stands for the id of an object that exists when the request is sent."""

    kind: str


@dataclass
class DrawnRequest:
    """A request before its ids are known. `body` is a JSON value or a form's fields; bytes are sent as they are."""

    path: dict[str, Any]
    query: list[tuple[str, Any]]
    headers: dict[str, str]
    body: Any
    form: bool = False
    breaks: list[str] = field(default_factory=list)
    """What was changed after it had been drawn as the document allows."""


NOTHING = object()
"""A request without a body."""

# By the name of a parameter or field; a list's items go by the list's name.
IDS = {
    "assistant_id": ("assistant",),
    "thread_id": ("thread",),
    "message_id": ("message",),
    "run_id": ("run",),
    "step_id": ("step",),
    "file_id": ("file", "download"),
    "file_ids": ("file", "download"),
    "vector_store_id": ("vector_store",),
    "vector_store_ids": ("vector_store",),
    "batch_id": ("batch",),
    "upload_id": ("upload",),
    "part_ids": ("first part", "second part"),
    "tool_call_id": ("call",),
    "md5": ("md5",),
    "after": ("listed",),
    "before": ("listed",),
    "model": ("model",),
    "id": ("new",),
}
_ALL_OR_NONE = ("part_ids",)
_AT_MOST_ONE = ("tool_outputs",)
_NOBODY = ["", "x", "file-none", "thread_none", "../threads", "ünï/çödé", "a" * 600, "\x00"]
_HEADERS = st.fixed_dictionaries(
    {"x-stainless-retry-count": st.integers(0, 10**9).map(str)},
    optional={"openai-beta": st.sampled_from(["assistants=v2", "assistants=v1", "none"])},
)
_TEXT = st.characters(exclude_categories=["Cs"])
_KEYS = st.text(st.characters(categories=["Ll", "Nd"], include_characters="_-"), max_size=8)
_FREE: SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(_TEXT, max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=3),
    max_leaves=4,
)


class Drawing:
    """Strategies for the requests of one document."""

    def __init__(self, document: JSON) -> None:
        self._document = document
        self._known: dict[str, SearchStrategy[Any]] = {}

    def requests(self, operation: JSON) -> SearchStrategy[DrawnRequest]:
        """Requests for an operation: most as the document allows, some broken in one place."""

        @st.composite
        def drawn(draw: DrawFn) -> DrawnRequest:
            request = DrawnRequest({}, [], draw(_HEADERS), NOTHING)
            for parameter in operation.get("parameters", []):
                self._parameter(draw, parameter, request)
            if "requestBody" in operation:
                self._body(draw, operation["requestBody"], request)
            return request

        return drawn()

    def _parameter(self, draw: DrawFn, parameter: JSON, request: DrawnRequest) -> None:
        name = parameter["name"]
        if parameter["in"] == "path":
            request.path[name] = draw(_id(name, 10))
            return
        if not draw(_one_in(3)):
            return
        value = draw(self._value(parameter["schema"], name))
        if draw(_one_in(4)):
            value = draw(st.text(_TEXT, max_size=5) | st.integers(-(10**30), 10**30))
            request.breaks.append(name)
        if value is not None:
            request.query += [(name, one) for one in (value if isinstance(value, list) else [value])]

    def _body(self, draw: DrawFn, body: JSON, request: DrawnRequest) -> None:
        if not body.get("required") and draw(_one_in(10)):
            return
        (media_type, content), *_ = body["content"].items()
        request.form = media_type == "multipart/form-data"
        request.body = draw(self._value(content["schema"], ""))
        if draw(_one_in(3)):
            request.breaks.append("body")
            if draw(_one_in(10)):
                request.body = draw(st.binary(min_size=1, max_size=20))
            else:
                request.body = draw(_broken(request.body))

    def _value(self, schema: JSON, name: str) -> SearchStrategy[Any]:
        if "$ref" in schema:
            target = schema["$ref"].rpartition("/")[2]
            if target not in self._known:
                self._known[target] = st.deferred(
                    lambda: self._value(self._document["components"]["schemas"][target], "")
                )
            return self._known[target]
        if union := schema.get("anyOf") or schema.get("oneOf"):
            kinds = [self._value(one, name) for one in union if one.get("type") != "null"]
            return st.one_of(kinds) if len(kinds) == len(union) else _often(st.one_of(kinds), st.none(), 5)
        if "const" in schema or "enum" in schema:
            return st.sampled_from(schema.get("enum") or [schema["const"]])
        by_type: dict[str, Callable[[JSON, str], SearchStrategy[Any]]] = {
            "string": self._string,
            "integer": self._integer,
            "number": self._number,
            "boolean": lambda _schema, _name: st.booleans(),
            "null": lambda _schema, _name: st.none(),
            "array": self._array,
            "object": self._object,
        }
        return by_type[schema["type"]](schema, name)

    def _string(self, schema: JSON, name: str) -> SearchStrategy[Any]:
        if name in IDS:
            return _id(name, 30)
        if schema.get("format") == "binary":
            return st.binary(max_size=20)
        if "pattern" in schema:
            pattern = st.from_regex(schema["pattern"].replace("$", r"\Z"), alphabet=st.characters(codec="ascii"))
            return pattern.filter(lambda text: len(text) <= schema.get("maxLength", 100))
        least, most = schema.get("minLength", 0), schema.get("maxLength", 20)
        short = st.text(_TEXT, min_size=least, max_size=max(least, min(most, 20)))
        return short | st.just("x" * most) if most <= 512 else short

    def _integer(self, schema: JSON, _name: str) -> SearchStrategy[Any]:
        return st.integers(int(schema.get("minimum", -(2**63))), int(schema.get("maximum", 2**63 - 1)))

    def _number(self, schema: JSON, _name: str) -> SearchStrategy[Any]:
        least, most = schema.get("minimum"), schema.get("maximum")
        return st.floats(least, most, allow_nan=False, allow_infinity=False)

    def _array(self, schema: JSON, name: str) -> SearchStrategy[Any]:
        least, most = schema.get("minItems", 0), 1 if name in _AT_MOST_ONE else schema.get("maxItems", 3)
        some = st.lists(self._value(schema["items"], name), min_size=least, max_size=max(least, min(most, 3)))
        return st.just([Id(kind) for kind in IDS[name]]) | some if name in _ALL_OR_NONE else some

    def _object(self, schema: JSON, _name: str) -> SearchStrategy[Any]:
        fields = {name: self._value(one, name) for name, one in schema.get("properties", {}).items()}
        required = {name: one for name, one in fields.items() if name in schema.get("required", [])}
        if fields:
            optional = {name: one for name, one in fields.items() if name not in required}
            return st.fixed_dictionaries(required, optional=optional)
        free = schema.get("additionalProperties", True)
        values = self._value(free, "") if isinstance(free, dict) else _FREE
        return st.dictionaries(_KEYS, values, max_size=3)


def _one_in(chance: int) -> SearchStrategy[bool]:
    # Not by integers, of which the smallest are drawn far more often than others.
    return st.sampled_from([*[False] * (chance - 1), True])


def _often(usual: SearchStrategy[Any], other: SearchStrategy[Any], chance: int) -> SearchStrategy[Any]:
    return _one_in(chance).flatmap(lambda it: other if it else usual)


def _id(name: str, chance: int) -> SearchStrategy[Any]:
    """The id of an object that exists, one time in `chance` another string."""
    return _often(st.sampled_from([Id(kind) for kind in IDS[name]]), st.sampled_from(_NOBODY), chance)


@st.composite
def _broken(draw: DrawFn, body: Any) -> Any:
    """The body with one value replaced, taken away or added."""
    places = list(_places(body))
    if not places or draw(_one_in(10)):
        return draw(_FREE) if not isinstance(body, dict) or draw(st.booleans()) else body | {"unknown": draw(_FREE)}
    return _changed(
        body, draw(st.sampled_from(places)), draw(st.sampled_from(["replace", "remove", "add"])), draw(_FREE)
    )


def _places(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if way:
        yield way
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield from _places(one, (*way, key))


def _changed(value: Any, way: tuple[Any, ...], deed: str, new: Any) -> Any:
    key, *rest = way
    copy = dict(value) if isinstance(value, dict) else list(value)
    if rest:
        copy[key] = _changed(value[key], tuple(rest), deed, new)
    elif deed == "remove":
        del copy[key]
    elif deed == "add" and isinstance(value[key], dict):
        copy[key] = value[key] | {"unknown": new}
    else:
        copy[key] = new
    return copy
