"""Errors, as every operation answers them."""

from typing import NotRequired

from typing_extensions import TypedDict


class Error(TypedDict):
    """What is wrong, with which parameter."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorBody(TypedDict):
    """The body of an answer that is an error; that of an unknown file has `detail` besides [R]."""

    error: Error
    detail: NotRequired[str]
