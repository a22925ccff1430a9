"""Which attributes meet a filter.

An attribute that a file does not have meets `ne` and `nin` alone. Values of different kinds (strings, numbers,
booleans) are never equal and never in order; numbers are ordered by value, strings by code points, booleans not at all.
"""

import operator
from collections.abc import Callable
from typing import Any

from understudy.schemas.base import JSON
from understudy.schemas.vector_stores import ComparisonFilter, CompoundFilter, Filter

_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}

Predicate = Callable[[JSON], bool]


def predicate(wanted: Filter) -> Predicate:
    """The question whether attributes meet a filter, ready to be put to many files."""
    if isinstance(wanted, CompoundFilter):
        quantifier = all if wanted.type == "and" else any
        parts = [predicate(one) for one in wanted.filters]
        return lambda attributes: quantifier(part(attributes) for part in parts)
    return _comparison(wanted)


def _comparison(wanted: ComparisonFilter) -> Predicate:
    key, kind = wanted.key, wanted.type
    if kind in _ORDERS:
        order, bound = _ORDERS[kind], _told_apart(wanted.value)
        if bound[0] is bool:
            return lambda _: False
        return lambda attributes: (
            key in attributes and _kind(attributes[key]) is bound[0] and order(attributes[key], bound[1])
        )
    values = wanted.value if kind in ("in", "nin") else [wanted.value]
    known = frozenset(map(_told_apart, values))
    if kind in ("eq", "in"):
        return lambda attributes: key in attributes and _told_apart(attributes[key]) in known
    return lambda attributes: key not in attributes or _told_apart(attributes[key]) not in known


def _told_apart(value: Any) -> tuple[type, Any]:
    # In Python True is 1.
    return _kind(value), value


def _kind(value: object) -> type:
    if isinstance(value, bool):
        return bool
    return str if isinstance(value, str) else float
