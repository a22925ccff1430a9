"""The API's errors: one tree, one writer of the error body. Their words are in refusals.py.

APIError
├── BadRequestError       400  invalid_request_error
│   └── VectorStoreExpiredError
├── AuthenticationError   401
├── PermissionDeniedError 403
├── NotFoundError         404
├── RateLimitError        429  a model call that a script lets fail so
├── BadGatewayError       502  the upstream gave no answer
│   └── CassetteMissError
├── NotSupportedError     501  a part of the API this version does not serve
└── InternalServerError   500
"""

from typing import Any, ClassVar

import orjson
from starlette.responses import Response


class APIError(Exception):
    """An error that the client is told, in the API's own shape."""

    status: ClassVar[int] = 500
    type: ClassVar[str] = "server_error"

    def __init__(self, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code

    def body(self) -> dict[str, Any]:
        """The JSON body `{"error": {…}}`."""
        error = {"message": self.message, "type": self.type, "param": self.param, "code": self.code}
        return {"error": error}


class BadRequestError(APIError):
    """The request is wrong, or the object's state forbids it (the API uses no 409 and no 422)."""

    status = 400
    type = "invalid_request_error"


class VectorStoreExpiredError(BadRequestError):
    """The vector store's time is over: a request for it is refused, a run that searches it fails."""


class AuthenticationError(APIError):
    """No key, or a wrong one."""

    status = 401
    type = "invalid_request_error"


class PermissionDeniedError(APIError):
    """A browser's cross-site request, an unknown Host, or a model that nobody may delete."""

    status = 403
    type = "invalid_request_error"


class NotFoundError(APIError):
    """No such object."""

    status = 404
    type = "invalid_request_error"


class RateLimitError(APIError):
    """Too many requests, or too large ones."""

    status = 429
    type = "requests"


class NotSupportedError(APIError):
    """A part of the API that this version does not serve."""

    status = 501
    type = "not_supported"


class BadGatewayError(APIError):
    """The upstream gave no answer."""

    status = 502


class CassetteMissError(BadGatewayError):
    """The cassette that stands in for the upstream does not know the call."""


class InternalServerError(APIError):
    """A fault of ours."""


class FileNotFoundAPIError(NotFoundError):
    """Unknown file; the hosted API's body has an extra top-level `detail` here [R]."""

    def body(self) -> dict[str, Any]:
        """The error body with its `detail`."""
        return super().body() | {"detail": self.message}


def json_error(error: APIError) -> Response:
    """The HTTP answer that carries `error`."""
    # The official clients try again after a 5xx, which helps nothing where a part or an answer is not there.
    final = isinstance(error, NotSupportedError | CassetteMissError)
    headers = {"x-should-retry": "false"} if final else None
    return Response(orjson.dumps(error.body()), error.status, headers, media_type="application/json")
