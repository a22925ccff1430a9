"""Values for the schemas that programs make: pydantic's of real models, judged by the model itself, and zod's."""

import uuid
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from jsonschema import Draft202012Validator
from jsonschema.validators import validator_for
from pydantic import AnyUrl, BaseModel, ConfigDict, Field, IPvAnyAddress, TypeAdapter, conlist, conset, constr

from understudy.chat_models.json_schema import example


class Unit(Enum):
    CELSIUS = "c"
    FAHRENHEIT = "f"


class Node(BaseModel):
    value: int
    children: list["Node"]
    parent: "Node | None"


class Branch(BaseModel):
    model_config = ConfigDict(extra="forbid")
    left: "Branch | Leaf"
    right: "Branch | Leaf"


class Leaf(BaseModel):
    weight: Annotated[Decimal, Field(gt=0, le=1)]


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int = Field(ge=1, le=9)


class Dog(BaseModel):
    kind: Literal["dog"]
    tricks: conlist(str, min_length=2, max_length=3)  # type: ignore[valid-type]


class Owner(BaseModel):
    pet: Annotated[Cat | Dog, Field(discriminator="kind")]
    pets: Annotated[list[Annotated[Cat | Dog, Field(discriminator="kind")]], Field(min_length=2)]


class Everything(BaseModel):
    unit: Unit
    maybe: Unit | None
    choice: Literal["a", 1, None]
    pair: tuple[int, str]
    many: tuple[float, ...]
    price: Annotated[float, Field(multiple_of=0.05, gt=1, lt=1.2)]
    even: Annotated[int, Field(multiple_of=2, ge=3)]
    amount: Decimal
    born: date
    at: datetime
    lasts: timedelta
    key: uuid.UUID
    url: AnyUrl
    address: IPvAnyAddress
    code: constr(pattern=r"^[A-Z]{2}-\d{3,5}$", min_length=7)  # type: ignore[valid-type]
    tags: conset(str, min_length=3)  # type: ignore[valid-type]
    scores: dict[str, Annotated[int, Field(ge=90)]]
    named: dict[Annotated[str, Field(pattern="^x_[a-z]+$")], bool] = Field(min_length=2)


@pytest.mark.parametrize("model", [Node, Branch, Owner, Everything, list[Owner], dict[str, Node], Unit | None])
@pytest.mark.parametrize("text", ["", 'at 12:30 on 2026-02-01, "blue" and 5, see https://example.org/a or me@here.org'])
def test_pydantic_models_take_the_value(model: Any, text: str) -> None:
    adapter = TypeAdapter(model)
    schema = adapter.json_schema()
    value = example(schema, text=text)
    Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(value)
    adapter.validate_python(value)


ZOD: dict[str, Any] = {
    "object with all kinds": {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "email": {
                "type": "string",
                "format": "email",
                "pattern": r"^(?!\.)(?!.*\.\.)([A-Za-z0-9_'+\-\.]*)[A-Za-z0-9_+-]@([A-Za-z0-9][A-Za-z0-9\-]*\.)+"
                r"[A-Za-z]{2,}$",
            },
            "id": {
                "type": "string",
                "format": "uuid",
                "pattern": "^([0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[1-8][0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-"
                "[0-9a-fA-F]{12}|00000000-0000-0000-0000-000000000000)$",
            },
            "cuid": {"type": "string", "format": "cuid", "pattern": r"^[cC][^\s-]{8,}$"},
            "when": {
                "type": "string",
                "format": "date-time",
                "pattern": r"^(?:\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\d|3[01])|02-(?:0[1-9]|1\d|2[0-8])))T"
                r"(?:(?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d+)?)?(?:Z))$",
            },
            "slug": {"type": "string", "pattern": r"^(?!-)[a-z0-9-]{3,63}(?<!-)$"},
            "password": {"type": "string", "pattern": r"^(?=.*[a-z])(?=.*[A-Z])(?=.*\d)(?=.*[^\w\s]).{10,}$"},
            "int": {"type": "integer", "minimum": -9007199254740991, "maximum": 9007199254740991},
            "positive": {"type": "number", "exclusiveMinimum": 0},
            "tuple": {"type": "array", "prefixItems": [{"type": "string"}, {"type": "number"}], "items": False},
            "record": {"type": "object", "propertyNames": {"enum": ["x", "y"]}, "additionalProperties": {}},
            "union": {"anyOf": [{"type": "string", "const": "a"}, {"type": "null"}]},
            "both": {
                "allOf": [
                    {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
                    {"type": "object", "properties": {"b": {"type": "number"}}, "required": ["b"]},
                ],
                "unevaluatedProperties": False,
            },
        },
        "additionalProperties": False,
    },
    "recursive, of draft 7": {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$ref": "#/definitions/Category",
        "definitions": {
            "Category": {
                "type": "object",
                "properties": {
                    "name": {"type": "string"},
                    "subcategories": {"type": "array", "items": {"$ref": "#/definitions/Category"}},
                    "pair": {"type": "array", "items": [{"type": "integer"}, {"type": "boolean"}], "minItems": 2},
                },
                "required": ["name", "subcategories", "pair"],
                "additionalProperties": False,
            }
        },
    },
}


@pytest.mark.parametrize("name", ZOD)
def test_zods_schemas(name: str) -> None:
    schema = ZOD[name] | {"required": list(ZOD[name].get("properties", []))}
    judge = validator_for(schema)
    judge(schema, format_checker=judge.FORMAT_CHECKER).validate(example(schema))
