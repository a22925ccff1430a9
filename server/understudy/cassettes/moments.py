"""Times that meant "now" when a request was made: what an application writes into its prompts by the clock."""

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_NEAR_DAYS = 1
_NEAR_SECONDS = 36 * 3600.0
_MONTH = f"({'|'.join(_MONTHS)})[a-z]*"
_CLOCK = r"\d\d?:\d\d(?::\d\d(?:[.,]\d{1,9})?)?"
_ZONE = r"(?:z|utc|gmt|[+-]\d\d:?\d\d)\b"
_TIME = re.compile(
    rf"""(?<![\w.])(?:
      (?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*,?\ )?
      (?: (?P<date>\d{{4}}-\d\d-\d\d)
        | {_MONTH}\.?\ +(\d\d?)(?:st|nd|rd|th)?(?:,|(?P<within>\ {_CLOCK}))?\ (\d{{4}})
        | (\d\d?)(?:st|nd|rd|th)?\ {_MONTH}\.?,?\ (\d{{4}}) )
      (?P<clock>(?:t|,?\ (?:at\ )?){_CLOCK}(?:\ ?[ap]m\b)?(?:\ ?{_ZONE})?)?
      | (?P<seconds>\d{{10}})(?:\.\d{{1,9}}|\d{{3}})?
    )(?!\w)""",
    re.VERBOSE | re.IGNORECASE,
)


def timeless(text: str, moments: Sequence[float]) -> str:
    """The text with `<date>` and `<time>` for what lies within a day or so of one of the moments (epoch seconds)."""

    def stands(match: re.Match[str]) -> str:
        if match["seconds"]:
            near = any(abs(int(match["seconds"]) - moment) <= _NEAR_SECONDS for moment in moments)
            return "<time>" if near else match[0]
        day = _day(match)
        if day is None or not any(abs((day - _date(moment)).days) <= _NEAR_DAYS for moment in moments):
            return match[0]
        return "<time>" if match["clock"] or match["within"] else "<date>"

    return _TIME.sub(stands, text)


def _date(moment: float) -> date:
    return datetime.fromtimestamp(moment, UTC).date()


def _day(match: re.Match[str]) -> date | None:
    try:
        if match["date"]:
            return date.fromisoformat(match["date"])
        month, day, year = match.group(2, 3, 5) if match[2] else match.group(7, 6, 8)
        return date(int(year), _MONTHS.index(month.lower()) + 1, int(day))
    except ValueError:
        return None
