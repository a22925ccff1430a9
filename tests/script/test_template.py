"""Templates: variables in texts, and values that keep their type."""

from typing import Any

import pytest

from understudy.script import template
from understudy.script.template import Output, Passages, TemplateError

VARIABLES: dict[str, Any] = {
    "city": "Paris",
    "nobody": None,
    "silence": "",
    "user": "hello, Bob!  How are you?\nFine.",
    "assistant": {"name": "Weather", "id": "asst_1"},
    "get_weather": Output('{"temp": 21.5, "wind": [1, {"gust": 7}], "sun": true, "rain": null, "text": "Été"}'),
    "price": Output("12.50 €"),
    "count": Output("3"),
    "outputs": [Output('{"a": 1}'), Output("two")],
    "results": Passages([{"text": "One.", "file": "a.txt", "mark": "【0:0†a.txt】"}, {"text": "Two."}]),
}


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("plain", "plain"),
        ("in ${city}.", "in Paris."),
        ("${city}${city}", "ParisParis"),
        ("$${city} $$ $", "${city} $$ $"),
        ("$$${city}", "$${city}"),
        ("${user.words.1} ${user.words.-1} ${user.lines.1}", "Bob Fine Fine."),
        ("${user.words.99|there}", "there"),
        ("${nobody|somebody} ${nothing|} ${no.where|a|b}", "somebody  a|b"),
        ("<${silence}> ${silence|quiet}", "<> quiet"),
        ("${get_weather.temp} ${get_weather.wind.1.gust} ${get_weather.sun} ${get_weather.rain}", "21.5 7 true null"),
        ("${get_weather.text}", "Été"),
        ("${get_weather.wind}", '[1, {"gust": 7}]'),
        ("${price} ${price.x|none}", "12.50 € none"),
        ("${count}", "3"),
        ("${outputs.0.a} ${outputs.1}", "1 two"),
        ("${results}", "One.\n\nTwo."),
        ("${results.0.file} ${results.0.mark}", "a.txt 【0:0†a.txt】"),
        ("${assistant.name}", "Weather"),
    ],
)
def test_texts(text: str, filled: str) -> None:
    assert template.text(text, VARIABLES) == filled


@pytest.mark.parametrize(
    ("value", "filled"),
    [
        ("${get_weather.temp}", 21.5),
        ("${get_weather.wind}", [1, {"gust": 7}]),
        ("${get_weather.rain}", None),
        ("${count}", 3),
        ("${price}", "12.50 €"),
        ("${nothing|20}", 20),
        ("${nothing|a}", "a"),
        ("${city}", "Paris"),
        ("${count} ", "3 "),
        ({"a": ["${count}", 1, None, "x ${count}"], "${city}": True}, {"a": [3, 1, None, "x 3"], "${city}": True}),
    ],
)
def test_values_keep_their_type(value: Any, filled: Any) -> None:
    assert template.value(value, VARIABLES) == filled


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("${nothing}", r"\$\{nothing\} has no value; there are assistant, city, count"),
        ("${nobody}", r"\$\{nobody\} has no value: nobody is nothing"),
        ("${count.x}", r"\$\{count.x\} has no value: count is 3"),
        ("${get_weather.wind.5}", "has no value: get_weather is {"),
        ("${user.words.50}", "has no value: user is hello"),
        ("${", "is no"),
        ("${a b}", "is no"),
    ],
)
def test_what_has_no_value_is_told(text: str, message: str) -> None:
    with pytest.raises(TemplateError, match=message):
        template.text(text, VARIABLES)
