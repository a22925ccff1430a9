"""Any Chat Completions server behind a base URL, Azure OpenAI among them, read as raw bytes with httpx."""

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Any

import anyio
import httpx
import orjson

from understudy.chat_models.base import (
    JSON,
    ChatModelError,
    ChatRequest,
    Delta,
    Finish,
    FinishReason,
    RefusalDelta,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from understudy.settings import PASS_THROUGH

log = logging.getLogger("understudy")

_RETRIES = 2
_LONGEST_WAIT = 20.0  # seconds
_TIMEOUT = httpx.Timeout(connect=10.0, read=600.0, write=60.0, pool=60.0)
_DRAIN_SECONDS = 0.05
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


class Upstream:
    """A Chat Completions server, and what it was found to refuse for each model."""

    backend = "upstream"

    def __init__(self, url: str, key: str | None) -> None:
        self.url = httpx.URL(url)
        self._key = key
        self._azure = "api-version" in self.url.params or self.url.host.endswith(
            (".azure.com", ".azure.us", ".azure.cn")
        )
        self._client = httpx.AsyncClient(timeout=_TIMEOUT, limits=httpx.Limits(max_connections=None))
        self._refused: dict[str, frozenset[str]] = {}

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Delta, None]:
        """Yield the answer's deltas. Raises ChatModelError."""
        response = await self._send(request)
        try:
            reader = _Reader()
            async for chunk in _chunks(response):
                for delta in reader.read(chunk):
                    yield delta
            yield reader.finish()
        except _BrokenAnswerError as error:
            raise ChatModelError("server_error", f"{self._place} {error}") from error
        except httpx.HTTPError as error:
            raise ChatModelError("server_error", f"{self._place}: the answer broke off ({_reason(error)}).") from error
        finally:
            with anyio.CancelScope(shield=True):
                await response.aclose()

    async def list_models(self, caller_key: str | None) -> list[JSON]:
        """The upstream's models. Raises ChatModelError."""
        try:
            response = await self._client.get(self._endpoint("models"), headers=self._headers(caller_key), timeout=10.0)
            response.raise_for_status()
            return [model for model in orjson.loads(response.content).get("data", []) if "id" in model]
        except (httpx.HTTPError, orjson.JSONDecodeError, AttributeError, TypeError) as error:
            raise ChatModelError("server_error", f"{self._place} lists no models ({_reason(error)}).") from error

    # -----------------------------------------------------------------------------------------------------------------
    # The request

    @property
    def _place(self) -> str:
        return f"The upstream {self.url.scheme}://{self.url.netloc.decode()}"

    def _endpoint(self, path: str, model: str = "") -> httpx.URL:
        base = self.url.path.rstrip("/")
        if self._azure and path == "chat/completions" and "/deployments/" not in base and not base.endswith("/v1"):
            base = f"{base.removesuffix('/openai')}/openai/deployments/{model}"
        return self.url.copy_with(path=f"{base}/{path}")

    def _headers(self, caller_key: str | None) -> dict[str, str]:
        key = caller_key if self._key == PASS_THROUGH else self._key
        if not key:
            return {}
        return {"api-key": key} if self._azure else {"authorization": f"Bearer {key}"}

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
                raise self._error(failure)
            await anyio.sleep(_wait(attempt, failure))
            attempt += 1

    async def _post(self, request: ChatRequest, body: JSON) -> httpx.Response | None:
        """The response, or None where the connection broke before one came. Raises ChatModelError if unreachable."""
        headers = self._headers(request.caller_key) | {"content-type": "application/json"}
        url = self._endpoint("chat/completions", request.model)
        sent = self._client.build_request("POST", url, content=orjson.dumps(body), headers=headers)
        try:
            return await self._client.send(sent, stream=True)
        except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
            return None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ChatModelError("server_error", f"{self._place} is unreachable ({_reason(error)}).") from error

    def _error(self, failure: "_Failure | None") -> ChatModelError:
        if failure is None:
            return ChatModelError("server_error", f"{self._place} closed the connection without an answer.")
        text = f"{self._place} answered {failure.status}: {failure.message}"
        if failure.status == 429:
            return ChatModelError("rate_limit_exceeded", text)
        if failure.code in ("content_filter", "invalid_prompt", "content_policy_violation"):
            return ChatModelError("invalid_prompt", text)
        return ChatModelError("server_error", text)


class _BrokenAnswerError(Exception):
    """An answer that cannot be read; the text goes on after the upstream's name."""


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
        said = fields.get("message") or fields.get("detail") or error or "(no message)"
        self.message = said if isinstance(said, str) else orjson.dumps(said).decode()
        self.message = self.message[:2000]
        self.code = str(fields.get("code") or "")
        self.param = str(fields.get("param") or "")


async def _failure(response: httpx.Response) -> _Failure:
    try:
        content = await response.aread()
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
            return min(float(milliseconds) / 1000, _LONGEST_WAIT)
        if seconds := headers.get("retry-after"):
            return min(float(seconds), _LONGEST_WAIT)
    except ValueError:
        log.debug("retry-after is no number: %s", headers.get("retry-after"))
    return 0.5 * 2.0**attempt


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


# ---------------------------------------------------------------------------------------------------------------------
# The answer


async def _chunks(response: httpx.Response) -> AsyncIterator[JSON]:
    """The answer's chunks: server-sent events, or the one JSON object of a server that does not stream."""
    if "json" in response.headers.get("content-type", ""):
        yield _as_chunk(_parse(await response.aread()))
        return
    rest = b""
    contents = response.aiter_bytes()
    async for content in contents:
        # Split at CR and LF only: str.splitlines also breaks at U+2028, which JSON strings may hold.
        lines = (rest + content).replace(b"\r", b"\n").split(b"\n")
        rest = lines.pop()
        for line in lines:
            if line.startswith(b"data:"):
                payload = line[5:].strip()
                if payload == b"[DONE]":
                    # Read to the very end, so that the connection can be used again.
                    with anyio.move_on_after(_DRAIN_SECONDS):
                        async for _ in contents:
                            pass
                    return
                if payload:
                    yield _parse(payload)
    if rest.startswith(b"data:") and (payload := rest[5:].strip()) and payload != b"[DONE]":
        yield _parse(payload)


def _parse(payload: bytes) -> JSON:
    try:
        chunk = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise _BrokenAnswerError(f"sent what is not JSON: {payload[:200]!r}") from error
    if not isinstance(chunk, dict):
        raise _BrokenAnswerError(f"sent what is not a completion: {payload[:200]!r}")
    if fault := chunk.get("error"):
        message = fault.get("message", fault) if isinstance(fault, dict) else fault
        raise _BrokenAnswerError(f"broke off its answer: {message}")
    return chunk


def _as_chunk(completion: JSON) -> JSON:
    choices = [choice | {"delta": choice.get("message") or {}} for choice in completion.get("choices") or []]
    return completion | {"choices": choices}


class _Reader:
    """Chunks to deltas, also of servers that omit tool calls' ids or indexes, finish reasons or usage."""

    def __init__(self) -> None:
        self._reason: FinishReason | None = None
        self._usage: Usage | None = None
        self._calls: list[_OpenCall] = []
        self._said_something = False

    def read(self, chunk: JSON) -> list[Delta]:
        """The deltas of one chunk."""
        if usage := chunk.get("usage"):
            self._usage = _usage(usage)
        choices = chunk.get("choices")
        if not choices:
            return []
        choice = choices[0]
        delta = choice.get("delta") or {}
        if reason := choice.get("finish_reason"):
            self._reason = _REASONS.get(reason, "stop")
        deltas: list[Delta] = []
        if text := delta.get("content"):
            deltas.append(TextDelta(text if isinstance(text, str) else _joined(text)))
        if refusal := delta.get("refusal"):
            deltas.append(RefusalDelta(refusal))
        for position, call in enumerate(delta.get("tool_calls") or []):
            deltas += self._tool_call(call, position)
        self._said_something = self._said_something or bool(deltas)
        return deltas

    def finish(self) -> Finish:
        """The end. Raises _BrokenAnswerError where the stream ended before the answer began."""
        if self._reason is None and not self._said_something:
            raise _BrokenAnswerError("ended its answer before it began.")
        return Finish("tool_calls" if self._calls and self._reason == "stop" else self._reason or "stop", self._usage)

    def _tool_call(self, call: JSON, position: int) -> list[Delta]:
        function = call.get("function") or {}
        arguments = function.get("arguments") or ""
        if not isinstance(arguments, str):
            arguments = orjson.dumps(arguments).decode()
        open_call = self._find(call, function, position)
        if open_call.named:
            return [ToolCallDelta(open_call.number, arguments=arguments)] if arguments else []
        open_call.id = open_call.id or call.get("id")
        open_call.name += function.get("name") or ""
        open_call.arguments += arguments
        if not open_call.name:
            return []
        open_call.named = True
        return [ToolCallDelta(open_call.number, open_call.id, open_call.name, open_call.arguments)]

    def _find(self, call: JSON, function: JSON, position: int) -> "_OpenCall":
        """The call that a piece belongs to: by index, else by id, else a new one where a name begins."""
        key = call.get("index")
        if key is None:
            key = call.get("id") or None
            if key is None and self._calls and not function.get("name"):
                return self._calls[-1]
            if key is None:
                key = ("unnamed", len(self._calls), position)
        for open_call in reversed(self._calls):
            if open_call.key == key and not _restarts(open_call, call, function):
                return open_call
        self._calls.append(_OpenCall(key, len(self._calls)))
        return self._calls[-1]


class _OpenCall:
    """A tool call that streams in; `key` is what the server tells it by."""

    __slots__ = ("arguments", "id", "key", "name", "named", "number")

    def __init__(self, key: object, number: int) -> None:
        self.key = key
        self.number = number
        self.id: str | None = None
        self.name = ""
        self.arguments = ""
        self.named = False


def _restarts(open_call: _OpenCall, call: JSON, function: JSON) -> bool:
    """Whether a piece under a known index begins another call: some servers give every call the index 0."""
    return bool(
        open_call.named and function.get("name") and call.get("id") and open_call.id and call["id"] != open_call.id
    )


_REASONS: dict[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}


def _joined(parts: list[JSON]) -> str:
    return "".join(part.get("text") or "" for part in parts)


def _usage(usage: JSON) -> Usage:
    prompt, completion = usage.get("prompt_tokens_details") or {}, usage.get("completion_tokens_details") or {}
    return Usage(
        usage.get("prompt_tokens") or 0,
        usage.get("completion_tokens") or 0,
        prompt.get("cached_tokens") or 0,
        completion.get("reasoning_tokens") or 0,
    )


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
