"""Values for schemas drawn at random, with the jsonschema package as the judge."""

from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from jsonschema import Draft202012Validator

from tests.chat_models.drawn_schemas import SCHEMAS, VALUES, schemas_for
from understudy.chat_models.json_schema import UnsatisfiableError, example

DRAWN = settings(
    max_examples=200,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate, Phase.shrink],
)


def judge(schema: Any) -> Draft202012Validator:
    return Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)


@DRAWN
@given(SCHEMAS)
def test_a_value_is_valid_or_none_is_given(schema: Any) -> None:
    try:
        value = example(schema)
    except UnsatisfiableError:
        return
    judge(schema).validate(value)
    assert example(schema) == value


@DRAWN
@given(VALUES.flatmap(lambda value: schemas_for(value)))
def test_what_has_a_value_gets_one(schema: Any) -> None:
    judge(schema).validate(example(schema))
