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


def matches(wanted: Filter, attributes: JSON) -> bool:
    """Whether attributes meet a filter."""
    if isinstance(wanted, CompoundFilter):
        quantifier = all if wanted.type == "and" else any
        return quantifier(matches(one, attributes) for one in wanted.filters)
    return _compare(wanted, attributes)


def _compare(wanted: ComparisonFilter, attributes: JSON) -> bool:
    if wanted.key not in attributes:
        return wanted.type in ("ne", "nin")
    value = attributes[wanted.key]
    match wanted.type:
        case "eq":
            return _equal(value, wanted.value)
        case "ne":
            return not _equal(value, wanted.value)
        case "in":
            return any(_equal(value, one) for one in wanted.value)
        case "nin":
            return not any(_equal(value, one) for one in wanted.value)
    kind = _kind(value)
    return kind is not bool and kind is _kind(wanted.value) and _ORDERS[wanted.type](value, wanted.value)


def _equal(one: object, other: object) -> bool:
    # In Python True is 1.
    return _kind(one) is _kind(other) and one == other


def _kind(value: object) -> type:
    if isinstance(value, bool):
        return bool
    return str if isinstance(value, str) else float
