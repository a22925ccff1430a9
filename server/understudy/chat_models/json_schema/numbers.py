"""Numbers within bounds and of a step, in exact arithmetic: 0.3 is a multiple of 0.1."""

import math
from collections.abc import Iterator
from fractions import Fraction
from itertools import islice
from typing import Any

Number = int | float
_FIRST = 20
_TRIES = 10_000


def exact(number: Number) -> Fraction:
    """The number as it is written: 0.1 is a tenth."""
    return Fraction(str(number))


def is_multiple(value: Number, step: Number) -> bool:
    """Whether `value` is a whole number of steps."""
    return math.isfinite(value) and exact(value) % exact(step) == 0


def written(value: Fraction) -> Number:
    """The number of that value that JSON has."""
    return value.numerator if value.denominator == 1 else float(value)


def within(schemas: list[dict[str, Any]], *, whole: bool) -> Iterator[Number]:
    """Numbers to try for all of the schemas, near zero where they may be; their check decides."""
    lows = [exact(one[key]) for one in schemas for key in ("minimum", "exclusiveMinimum") if key in one]
    highs = [exact(one[key]) for one in schemas for key in ("maximum", "exclusiveMaximum") if key in one]
    steps = [abs(exact(one["multipleOf"])) for one in schemas if "multipleOf" in one]
    low, high = max(lows, default=None), min(highs, default=None)
    step = _common(steps + [Fraction(1)] * whole) if steps or whole else Fraction(1)
    multiples = _multiples(low, high, step)
    # Those first that are multiples in floating point too: some programs look no closer.
    yield from sorted(islice(multiples, _FIRST), key=lambda value: not all(_divides(value, one) for one in schemas))
    yield from (schema[key] for schema in schemas for key in ("minimum", "maximum") if key in schema)
    yield from multiples
    if not steps and not whole and low is not None and high is not None:
        yield from (float(low + (high - low) / n) for n in range(2, _TRIES))


def _multiples(low: Fraction | None, high: Fraction | None, step: Fraction) -> Iterator[Number]:
    upwards = low is not None or high is None or high > step
    first = math.ceil(low / step) if low is not None else 1 if upwards else math.floor((high or 0) / step)
    for n in range(_TRIES):
        value = (first + n if upwards else first - n) * step
        if (high is not None and value > high) or (low is not None and value < low):
            return
        yield written(value)


def _divides(value: Number, schema: dict[str, Any]) -> bool:
    step = schema.get("multipleOf", 1)
    return isinstance(step, int) or float(value / step).is_integer()


def _common(steps: list[Fraction]) -> Fraction:
    """The least number that is a multiple of all."""
    denominator = math.lcm(*(step.denominator for step in steps))
    return Fraction(math.lcm(*(step.numerator * (denominator // step.denominator) for step in steps)), denominator)
