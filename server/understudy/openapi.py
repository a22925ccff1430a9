"""GET /openapi.json: FastAPI's document, completed by what FastAPI cannot know: errors, keys, the events of streams."""

import functools
from typing import Any

from fastapi import FastAPI
from pydantic import TypeAdapter

from understudy.schemas.base import JSON

_COMPONENTS = "#/components/schemas/"
_FASTAPI_ERRORS = ("HTTPValidationError", "ValidationError")
_EVENT_STREAM = {
    "description": "The object, or with `stream: true` the events up to the run's end.",
    "content": {"text/event-stream": {"schema": {"$ref": f"{_COMPONENTS}StreamEvent"}}},
}
STREAMED: dict[int | str, JSON] = {200: _EVENT_STREAM}
"""The `responses` of an operation that can answer with a stream."""

_ERRORS = {
    "400": "The request is wrong, or the object's state forbids it.",
    "401": "No key, or a wrong one, where keys are required.",
    "403": "A web page of another site, or a host that is not served.",
    "404": "An object that the request names does not exist.",
    "5XX": "A fault of the server, or of its upstream.",
}
_WITHOUT_404 = ("createFile", "createUpload", "listModels")


def install(app: FastAPI) -> None:
    """Have `app` complete its document when it is first asked for."""
    write = app.openapi

    @functools.cache
    def openapi() -> JSON:
        return _completed(write())

    app.openapi = openapi  # type: ignore[method-assign]


def _completed(document: JSON) -> JSON:
    # Imported here: the models of all events are for the document alone.
    from understudy.schemas.stream_events import StreamEvent

    schemas: dict[str, Any] = document["components"]["schemas"]
    for name in _FASTAPI_ERRORS:
        schemas.pop(name, None)
    events = TypeAdapter[Any](StreamEvent).json_schema(mode="serialization", ref_template=f"{_COMPONENTS}{{model}}")
    schemas |= events.pop("$defs") | schemas | {"StreamEvent": events}
    for path, operations in document["paths"].items():
        for operation in operations.values():
            operation["responses"].pop("422", None)
            if path.startswith("/v1/"):
                operation["responses"].update(_errors(operation))
    document["components"]["securitySchemes"] = {
        "Bearer": {"type": "http", "scheme": "bearer"},
        "AzureKey": {"type": "apiKey", "in": "header", "name": "api-key"},
    }
    document["security"] = [{"Bearer": []}, {"AzureKey": []}, {}]
    return document


def _errors(operation: JSON) -> JSON:
    """The errors that an operation may answer with."""
    absent = set()
    if "parameters" not in operation and "requestBody" not in operation:
        absent.add("400")
    if operation["operationId"] in _WITHOUT_404:
        absent.add("404")
    body = {"application/json": {"schema": {"$ref": f"{_COMPONENTS}ErrorBody"}}}
    return {
        status: {"description": reason, "content": body} for status, reason in _ERRORS.items() if status not in absent
    }
