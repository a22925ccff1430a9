"""What is tried of every client: how the model behind it is scripted, and what its program must have seen."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.scripted_upstream import JSON, Reply, ScriptedUpstream

Seen = Callable[[Any], bool]

FILES = {
    "sales.csv": "month,revenue\nJan,12000\nMar,11000\nMay,22000\n",
    "foods.txt": "Ada's favourite food is lasagne. She eats it every Sunday with her neighbours.\n",
}
"""What lies in the folder that a program is run in."""

WEATHER = {"Ghent": "21 degrees, sunny", "Oslo": "12 degrees, rain"}
"""What the programs' function `get_weather(city)` answers."""

TEXT = "Ünder 😀 one\u2028line, it says: grüezi."
CODE = (
    "import pandas as pd, matplotlib.pyplot as plt\n"
    "import glob\n"
    "sales = pd.read_csv(glob.glob('/mnt/data/*')[0]).set_index('month').revenue\n"
    "print('best', sales.idxmax())\n"
    "sales.plot.bar()\n"
    "plt.show()"
)
ANSWER = "She likes lasagne【0:0†foods.txt】."


@dataclass(frozen=True)
class Feature:
    """A column of the matrix.

    `script` makes the upstream's replies, given how the program names its tools, and `shows` says for each key of the
    JSON object that the program prints what must be true of its value. Where a program prints `streamed` it prints
    `polled`, and the two must be equal.
    """

    about: str
    script: tuple[Reply | Callable[[JSON], Reply], ...] | Callable[[], tuple[Reply | Callable[[JSON], Reply], ...]]
    shows: dict[str, Seen]

    def model(self, upstream: ScriptedUpstream) -> str:
        """A new model that plays the script."""
        return upstream.script(*(self.script() if callable(self.script) else self.script))


def _is(wanted: object) -> Seen:
    return lambda value: bool(value == wanted)


def _call_weather(body: JSON) -> Reply:
    """Two calls at once; a framework may have put a prefix before the function's name."""
    names = [tool["function"]["name"] for tool in body["tools"]]
    (name,) = [name for name in names if name.endswith("get_weather")]
    return Reply(calls=[(name, {"city": city}) for city in WEATHER])


def _report(body: JSON) -> Reply:
    """An answer that says what the tools answered."""
    answers = [message["content"].strip() for message in body["messages"] if message["role"] == "tool"]
    return Reply(pieces=["It says: ", *answers])


def _weather_told(text: str) -> bool:
    return text.startswith("It says: ") and all(weather in text for weather in WEATHER.values())


def _both_called(calls: list[list[Any]]) -> bool:
    return [arguments for _, arguments in calls] == [{"city": city} for city in WEATHER] and all(
        name.endswith("get_weather") for name, _ in calls
    )


def _held() -> tuple[Reply, ...]:
    """An answer that never ends by itself."""
    return (Reply(pieces=["begun ", "never"], hold=threading.Event()),)


def _broken() -> tuple[Reply, ...]:
    """An answer that breaks off."""
    return (Reply(chunks=[{"choices": [{"delta": {"content": "begun"}}]}, "{broken"]),)


def _refused(kind: str, message: str) -> Seen:
    def seen(error: JSON) -> bool:
        return (
            error["error"] == kind
            and error["message"].endswith(message)
            and str(error["request_id"]).startswith("req_")
        )

    return seen


_SPOKEN: dict[str, Seen] = {"text": _is(TEXT)}
_STREAMED: dict[str, Seen] = {"streamed": bool}
_TOLD: dict[str, Seen] = {"text": _weather_told, "calls": _both_called}
_WORKED: dict[str, Seen] = {
    "text": lambda text: text.startswith("It says: best May"),
    "logs": _is("best May\n"),
    "image": lambda size: size > 3_000,
}
_ENDED: dict[str, Seen] = {"text": _is("cut short"), "status": _is("incomplete")}
_FOUND: dict[str, Seen] = {"text": _is(ANSWER), "citation": _is("foods.txt")}

_speak = (Reply(pieces=["Ünder 😀 ", "one\u2028line, ", "it says: ", "grüezi."]),)
_call = (_call_weather, _report)
_work = (Reply(calls=[("code_interpreter", {"code": CODE})]), _report)
_find = (Reply(calls=[("file_search", {"query": "favourite food"})]), Reply(pieces=[ANSWER[:20], ANSWER[20:]]))
_cut = (Reply("cut short", finish="length"),)

FEATURES = {
    "text": Feature("a run, polled", _speak, _SPOKEN),
    "stream": Feature("a run, streamed", _speak, _SPOKEN | _STREAMED),
    "function": Feature("two function calls at once", _call, _TOLD),
    "stream_function": Feature("function calls, streamed", _call, _TOLD | _STREAMED),
    "code": Feature("code interpreter: logs, a chart", _work, _WORKED),
    "stream_code": Feature("code interpreter, streamed", _work, _WORKED | _STREAMED),
    "search": Feature("file search: a citation", _find, _FOUND),
    "stream_search": Feature("file search, streamed", _find, _FOUND | _STREAMED),
    "incomplete": Feature("a run out of tokens", _cut, _ENDED),
    "stream_incomplete": Feature("a run out of tokens, streamed", _cut, _ENDED | _STREAMED),
    "stream_failed": Feature(
        "a run that fails half-way, streamed", _broken, {"text": _is("begun"), "status": _is("failed")} | _STREAMED
    ),
    "stream_cancel": Feature(
        "a run cancelled while it streams",
        _held,
        {"text": lambda text: text.startswith("begun "), "status": _is("cancelled")} | _STREAMED,
    ),
    "cancel": Feature("a run cancelled", _held, {"status": _is("cancelled")}),
    "pages": Feature("25 messages over three pages", (), {"texts": _is([str(number) for number in range(25)])}),
    "error": Feature(
        "errors: class, message, request id",
        (),
        {
            "missing": _refused("NotFoundError", "No assistant found with id 'asst_missing'."),
            "refused": _refused(
                "BadRequestError",
                "Invalid 'limit': integer above maximum value. Expected a value <= 100, but got 101 instead.",
            ),
        },
    ),
}
