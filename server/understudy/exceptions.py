"""Whatever is raised leaves as an API error: ours, and those of the framework."""

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DataError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from understudy import refusals, validation
from understudy.errors import APIError, BadRequestError, json_error


def install(app: FastAPI) -> None:
    """Make every exception of `app` leave as an API error."""

    @app.exception_handler(APIError)
    def _api_error(request: Request, error: APIError) -> Response:
        request.scope["understudy.error"] = error.message
        return json_error(error)

    @app.exception_handler(RequestValidationError)
    def _invalid_request(request: Request, error: RequestValidationError) -> Response:
        finding = next(iter(error.errors()))
        return _api_error(request, validation.explain(finding, error.body))

    @app.exception_handler(HTTPException)
    def _http_exception(request: Request, error: HTTPException) -> Response:
        if error.status_code in (404, 405):
            path = request.scope.get("understudy.path", request.url.path)
            refusal = refusals.INVALID_URL if path.startswith(("/v1/", "/openai/")) else refusals.NOT_AN_API_URL
            return _api_error(request, refusal(method=request.method, path=path))
        if isinstance(error.__cause__, APIError):
            # FastAPI's own words for whatever goes wrong while it reads a body hide ours.
            return _api_error(request, error.__cause__)
        return _api_error(request, BadRequestError(str(error.detail)))

    @app.exception_handler(DataError)
    def _unstorable(request: Request, _error: DataError) -> Response:
        # PostgreSQL's text holds no NUL; nothing else that is unfit for a column gets as far as there.
        return _api_error(request, refusals.NUL())

    @app.exception_handler(ClientDisconnect)
    def _client_left(request: Request, _error: ClientDisconnect) -> Response:
        return _api_error(request, refusals.CLIENT_LEFT())
