"""Any Chat Completions server behind a base URL, Azure OpenAI among them, read as raw bytes with httpx."""

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any
from urllib.parse import quote

import anyio
import httpx
import orjson

from understudy.cassettes.deck import PATH, Deck
from understudy.cassettes.transport import NO_UPSTREAM, CassetteTransport
from understudy.chat_models.base import JSON, ChatModelError, ChatRequest, Delta, ErrorCode
from understudy.chat_models.completion_stream import BrokenAnswerError, CompletionReader, payloads
from understudy.settings import PASS_THROUGH

log = logging.getLogger("understudy")

_RETRIES = 2
_LONGEST_WAIT = 20.0  # seconds
_LONGEST_ERROR = 64 * 1024
_PATH_MARKS = "/:@!$&'()*+,;="
_TIMEOUT = httpx.Timeout(connect=10.0, read=600.0, write=60.0, pool=60.0)
# What Azure has under a deployment; all else is under the resource.
_OF_DEPLOYMENTS = frozenset(
    (
        *("chat/completions", "completions", "embeddings"),
        *("audio/transcriptions", "audio/translations", "audio/speech", "images/generations", "images/edits"),
    )
)
# What some servers refuse. All of it can be left out; the token limit is then tried under its older name.
_REFUSABLE = (
    "max_completion_tokens",
    "max_tokens",
    "stream_options",
    "parallel_tool_calls",
    "temperature",
    "top_p",
    "reasoning_effort",
)


def _client(transport: httpx.AsyncBaseTransport | None = None) -> httpx.AsyncClient:
    # No cookies: one caller's would go with the next one's request.
    return httpx.AsyncClient(
        transport=transport,
        timeout=_TIMEOUT,
        limits=httpx.Limits(max_connections=None),
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
    )


class RefusedKeyError(ChatModelError):
    """The upstream does not take the key that it was given."""


class Upstream:
    """A Chat Completions server, and what it was found to refuse for each model."""

    def __init__(self, url: str | None, key: str | None, deck: Deck | None = None) -> None:
        self.backend = "upstream" if url else "cassette"
        self.url = httpx.URL(url or NO_UPSTREAM)
        self._key = key
        self._azure = "api-version" in self.url.params or self.url.host.endswith(
            (".azure.com", ".azure.us", ".azure.cn")
        )
        self._client = _client() if deck is None else _client(CassetteTransport(deck, _client))
        self._refused: dict[str, frozenset[str]] = {}

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Delta, None]:
        """Yield the answer's deltas. Raises ChatModelError."""
        response = await self._send(request)
        try:
            reader = CompletionReader()
            async for payload in payloads(response):
                for delta in reader.read(payload):
                    yield delta
            yield reader.finish()
        except BrokenAnswerError as error:
            raise self._fault(f"{self._place} {error}", request.caller_key) from error
        except httpx.HTTPError as error:
            text = f"{self._place}: the answer broke off ({_reason(error)})."
            raise self._fault(text, request.caller_key) from error
        finally:
            with anyio.CancelScope(shield=True):
                await response.aclose()

    async def list_models(self, caller_key: str | None) -> list[JSON]:
        """The upstream's models. Raises ChatModelError, RefusedKeyError among them."""
        try:
            response = await self._models(caller_key)
            if response.status_code != 200:
                failure = _Failure(response.status_code, response.headers, response.content)
                text = f"{self._place} lists no models: it answered {failure.status}: {failure.message}"
                fault = self._fault(text, caller_key)
                raise RefusedKeyError(fault.code, fault.message) if failure.status in (401, 403) else fault
            models = orjson.loads(response.content).get("data", [])
            return [model for model in models if isinstance(model.get("id"), str)]
        except (httpx.HTTPError, orjson.JSONDecodeError, AttributeError, TypeError) as error:
            raise self._fault(f"{self._place} lists no models ({_reason(error)}).", caller_key) from error

    async def pass_on(
        self,
        method: str,
        path: str,
        *,
        query: bytes,
        headers: Mapping[str, str],
        content: bytes | AsyncIterator[bytes] | None,
        model: str,
        caller_key: str | None,
    ) -> httpx.Response:
        """The beginning of the upstream's answer to any request. Raises ChatModelError where none comes."""
        try:
            request = self._client.build_request(
                method,
                self._endpoint(path, model, query),
                content=content,
                headers={name.encode(): value.encode("latin-1") for name, value in headers.items()}
                | self._headers(caller_key),
                extensions=_asking(path, query),
            )
            return await self._client.send(request, stream=True)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            timed_out = isinstance(error, httpx.ReadTimeout | httpx.WriteTimeout)
            said = "does not answer" if timed_out else "is unreachable"
            raise self._fault(f"{self._place} {said} ({_reason(error)}).", caller_key) from error

    async def refusal(self, response: httpx.Response, caller_key: str | None) -> bytes:
        """The body of an error answer in the API's shape, also of servers that have another, without the key."""
        failure = await _failure(response)
        error: JSON = {
            "message": f"{self._place} answered {failure.status}: {failure.message}",
            "type": "server_error" if failure.status >= 500 else "invalid_request_error",
            "param": failure.param or None,
            "code": failure.code or None,
        } | (failure.error if isinstance(failure.error.get("message"), str) else {})
        body, key = orjson.dumps({"error": error}), self._key_for(caller_key)
        return body.replace(key.encode(), b"***") if key else body

    async def probe(self) -> str | None:
        """What stands between this server and the upstream, None where nothing does."""
        try:
            response = await self._models(None)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return self._fault(f"{self._place} cannot be reached ({_reason(error)}).", None).message
        if response.status_code in (401, 403) and self._key != PASS_THROUGH:
            return f"{self._place} answered {response.status_code}: give it its key by --upstream-key."
        return None

    def needs_deployment(self, path: str) -> bool:
        """Whether the upstream has `path` once for each of its models, as Azure has it."""
        base = self.url.path.rstrip("/")
        return self._azure and path in _OF_DEPLOYMENTS and "/deployments/" not in base and not base.endswith("/v1")

    # -----------------------------------------------------------------------------------------------------------------
    # The request

    @property
    def _place(self) -> str:
        return f"The upstream {self.url.scheme}://{self.url.netloc.decode()}"

    def _endpoint(self, path: str, model: str = "", query: bytes = b"") -> httpx.URL:
        base = self.url.path.rstrip("/")
        if self._azure and not base.endswith("/v1"):
            resource, _, deployment = base.partition("/deployments/")
            base = f"{resource.removesuffix('/openai')}/openai"
            if path in _OF_DEPLOYMENTS:
                if model in (".", ".."):  # httpx would take it for a step in the path
                    raise httpx.InvalidURL(f"no deployment is called {model!r}")
                base += f"/deployments/{deployment or quote(model, safe='')}"
        joined = b"&".join(filter(None, (self.url.query, query)))
        # httpx lets a path that is escaped pass as it is.
        return self.url.copy_with(path=f"{base}/{quote(path, safe=_PATH_MARKS)}", query=joined or None)

    def _key_for(self, caller_key: str | None) -> str | None:
        return caller_key if self._key == PASS_THROUGH else self._key

    def _headers(self, caller_key: str | None) -> dict[bytes, bytes]:
        key = self._key_for(caller_key)
        if not key:
            return {}
        # A caller's key came as Latin-1, as all headers do, and goes on as the same bytes.
        encoded = key.encode("latin-1")
        return {b"api-key": encoded} if self._azure else {b"authorization": b"Bearer " + encoded}

    def _fault(self, text: str, caller_key: str | None, code: ErrorCode = "server_error") -> ChatModelError:
        """The error to tell, without the key, which servers echo and httpx quotes."""
        key = self._key_for(caller_key)
        return ChatModelError(code, text.replace(key, "***") if key else text)

    async def _models(self, caller_key: str | None) -> httpx.Response:
        headers, asking = self._headers(caller_key), _asking("models")
        return await self._client.get(self._endpoint("models"), headers=headers, timeout=10.0, extensions=asking)

    async def _send(self, request: ChatRequest) -> httpx.Response:
        """The answer's beginning, after retries and after leaving out what the server refuses."""
        attempt = 0
        while True:
            refused = self._refused.get(request.model, frozenset())
            body = _body(request, refused)
            response = await self._post(request, body)
            if response is not None and response.status_code == 200:
                return response
            failure = await _failure(response) if response is not None else None
            if failure and (name := _refused_parameter(failure, body)):
                log.info("%s refuses %s for %s: left out from now on", self._place, name, request.model)
                self._refused[request.model] = refused | {name}
                continue
            retryable = failure is None or failure.status == 429 or failure.status >= 500
            if not retryable or attempt >= _RETRIES:
                raise self._error(failure, request)
            await anyio.sleep(_wait(attempt, failure))
            attempt += 1

    async def _post(self, request: ChatRequest, body: JSON) -> httpx.Response | None:
        """The response, or None where the connection broke before one came. Raises ChatModelError if unreachable."""
        headers = self._headers(request.caller_key) | {b"content-type": b"application/json"}
        try:
            url = self._endpoint("chat/completions", request.model)
            sent = self._client.build_request(
                "POST", url, content=orjson.dumps(body), headers=headers, extensions=_asking("chat/completions")
            )
            return await self._client.send(sent, stream=True)
        except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
            return None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            text = f"{self._place} is unreachable ({_reason(error)})."
            raise self._fault(text, request.caller_key) from error

    def _error(self, failure: "_Failure | None", request: ChatRequest) -> ChatModelError:
        if failure is None:
            return self._fault(f"{self._place} closed the connection without an answer.", request.caller_key)
        code: ErrorCode = "server_error"
        if failure.status == 429:
            code = "rate_limit_exceeded"
        elif failure.code in ("content_filter", "invalid_prompt", "content_policy_violation"):
            code = "invalid_prompt"
        text = f"{self._place} answered {failure.status}: {failure.message}"
        return self._fault(text, request.caller_key, code)


class _Failure:
    """An error answer of the upstream."""

    def __init__(self, status: int, headers: Mapping[str, str], content: bytes) -> None:
        self.status = status
        self.headers = headers
        try:
            parsed = orjson.loads(content)
        except orjson.JSONDecodeError:
            parsed = content.decode("utf-8", "replace").strip()
        error = parsed.get("error", parsed) if isinstance(parsed, dict) else parsed
        fields = error if isinstance(error, dict) else {}
        self.error: JSON = fields if error is not parsed else {}
        said = fields.get("message") or fields.get("detail") or error or "(no message)"
        self.message = (said if isinstance(said, str) else repr(said))[:2000]
        self.code = str(fields.get("code") or "")
        self.param = str(fields.get("param") or "")


async def _failure(response: httpx.Response) -> _Failure:
    content = b""
    try:
        async for piece in response.aiter_bytes():
            content += piece
            if len(content) > _LONGEST_ERROR:
                break
    except httpx.HTTPError as error:
        content = _reason(error).encode()
    finally:
        await response.aclose()
    return _Failure(response.status_code, response.headers, content)


def _refused_parameter(failure: _Failure, body: JSON) -> str | None:
    """The parameter of `body` that the server will not take, if it can be left out or renamed."""
    if failure.status not in (400, 404, 422):
        return None
    candidates = [name for name in _REFUSABLE if name in body]
    if failure.param in candidates:
        return failure.param
    # "Use 'max_completion_tokens' instead of 'max_tokens'": the one refused is the one that was sent.
    return next((name for name in candidates if name in failure.message), None)


def _wait(attempt: int, failure: _Failure | None) -> float:
    headers = failure.headers if failure else {}
    try:
        if milliseconds := headers.get("retry-after-ms"):
            return _bounded(float(milliseconds) / 1000)
        if seconds := headers.get("retry-after"):
            return _bounded(float(seconds))
    except ValueError:
        log.debug("retry-after is no number: %s", headers.get("retry-after"))
    return 0.5 * 2.0**attempt


def _bounded(seconds: float) -> float:
    if not seconds >= 0:
        raise ValueError("no time to wait")
    return min(seconds, _LONGEST_WAIT)


def _body(request: ChatRequest, refused: frozenset[str]) -> JSON:
    budget = "max_tokens" if "max_completion_tokens" in refused else "max_completion_tokens"
    body: dict[str, Any] = {
        "model": request.model,
        "messages": request.messages,
        "stream": True,
        "stream_options": {"include_usage": True},
        "tools": request.tools or None,
        "tool_choice": request.tool_choice,
        "parallel_tool_calls": request.parallel_tool_calls,
        "response_format": request.response_format,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "reasoning_effort": request.reasoning_effort,
        budget: request.max_completion_tokens,
    }
    return {name: value for name, value in body.items() if value is not None and name not in refused}


def _asking(path: str, query: bytes = b"") -> dict[str, Any]:
    """What a cassette knows a request by, wherever the upstream is."""
    return {PATH: f"{path}?{query.decode('latin-1')}" if query else path}


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
