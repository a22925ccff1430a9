"""Attribute filters: what they mean, and what is refused."""

import pytest
from pydantic import TypeAdapter, ValidationError

from understudy.attribute_filters import predicate
from understudy.schemas.vector_stores import Filter
from understudy.validation import explain

FILTER: TypeAdapter[Filter] = TypeAdapter(Filter)
FILE = {"title": "looms", "year": 1804, "price": 9.5, "public": True, "empty": ""}


def _matches(wanted: object, attributes: dict[str, object] = FILE) -> bool:
    return predicate(FILTER.validate_python(wanted))(attributes)


def _compare(key: str, type_: str, value: object) -> bool:
    return _matches({"type": type_, "key": key, "value": value})


@pytest.mark.parametrize(
    ("key", "type_", "value", "expected"),
    [
        ("title", "eq", "looms", True),
        ("title", "eq", "Looms", False),
        ("title", "ne", "looms", False),
        ("title", "ne", "mills", True),
        ("year", "eq", 1804, True),
        ("year", "eq", 1804.0, True),
        ("year", "gt", 1803, True),
        ("year", "gt", 1804, False),
        ("year", "gte", 1804, True),
        ("year", "lt", 1804.5, True),
        ("year", "lte", 1803.5, False),
        ("title", "gt", "Zebra", True),  # code points: small letters come after large ones
        ("title", "lt", "loomt", True),
        ("empty", "lt", "a", True),
        ("year", "in", [1, 1804], True),
        ("year", "in", [], False),
        ("year", "nin", [], True),
        ("title", "in", ["mills", "looms"], True),
        ("title", "nin", ["mills", "looms"], False),
        ("public", "eq", True, True),
        ("public", "ne", False, True),
        ("public", "in", [True], True),
    ],
)
def test_comparisons(key: str, type_: str, value: object, expected: bool) -> None:
    assert _compare(key, type_, value) is expected


@pytest.mark.parametrize(
    ("type_", "expected"),
    [("eq", False), ("ne", True), ("gt", False), ("gte", False), ("lt", False), ("lte", False)],
)
def test_a_missing_key_and_another_kind(type_: str, expected: bool) -> None:
    assert _compare("absent", type_, 1) is expected
    assert _compare("title", type_, 1) is expected
    assert _compare("year", type_, "1804") is expected
    # In Python True is 1.
    assert _compare("public", type_, 1) is expected
    assert _matches({"type": type_, "key": "a", "value": True}, {"a": 1}) is expected


def test_lists_of_mixed_kinds() -> None:
    assert _compare("year", "in", ["1804", 1804])
    assert not _compare("year", "in", ["1804", True])
    assert not _compare("absent", "in", ["", 0])
    assert _compare("absent", "nin", ["", 0])


def test_booleans_have_no_order() -> None:
    for type_ in ("gt", "gte", "lt", "lte"):
        assert not _compare("public", type_, True)
        assert not _compare("public", type_, False)


def test_and_or_nested() -> None:
    old = {"type": "lt", "key": "year", "value": 1900}
    cheap = {"type": "lt", "key": "price", "value": 5}
    public = {"type": "eq", "key": "public", "value": True}
    assert not _matches({"type": "and", "filters": [old, cheap]})
    assert _matches({"type": "or", "filters": [old, cheap]})
    assert _matches({"type": "and", "filters": [public, {"type": "or", "filters": [cheap, old]}]})
    assert _matches({"type": "and", "filters": []})
    assert not _matches({"type": "or", "filters": []})


@pytest.mark.parametrize(
    ("wanted", "param", "code"),
    [
        ({"type": "eq", "key": "a"}, "filters.value", "missing_required_parameter"),
        ({"key": "a", "value": 1}, "filters.type", "missing_required_parameter"),
        ({"type": "like", "key": "a", "value": 1}, "filters.type", "invalid_value"),
        ({"type": "eq", "key": 1, "value": 1}, "filters.key", "invalid_type"),
        ({"type": "in", "key": "a", "value": "b"}, "filters.value", "invalid_type"),
        ({"type": "eq", "key": "a", "value": ["b"]}, "filters.value", "invalid_value"),
        ({"type": "eq", "key": "a", "value": None}, "filters.value", "invalid_value"),
        ({"type": "in", "key": "a", "value": [{}]}, "filters.value", "invalid_value"),
        ({"type": "eq", "key": "a", "value": 1, "x": 1}, "filters.x", "unknown_parameter"),
        ({"type": "and"}, "filters.filters", "missing_required_parameter"),
        (
            {"type": "or", "filters": [{"type": "gt", "value": 1}]},
            "filters.filters[0].key",
            "missing_required_parameter",
        ),
        ("a", "filters", "invalid_type"),
    ],
)
def test_what_is_refused(wanted: object, param: str, code: str) -> None:
    with pytest.raises(ValidationError) as caught:
        FILTER.validate_python(wanted)
    finding = caught.value.errors()[0]
    explained = explain(finding | {"loc": ("body", "filters", *finding["loc"])}, {"filters": wanted})
    assert (explained.param, explained.code) == (param, code), explained
