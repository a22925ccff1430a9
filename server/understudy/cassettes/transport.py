"""Cassettes under httpx: what a client sends is answered by the deck, or by the network while the deck records."""

import time
from collections.abc import AsyncIterator, Callable

import anyio.lowlevel
import httpx

from understudy import clock
from understudy.cassettes.answer import Answer, Tape, told
from understudy.cassettes.deck import Deck, Question
from understudy.errors import CassetteMissError

NO_UPSTREAM = "http://no.upstream.invalid/v1"
"""Where requests go that only a cassette can answer."""


class CassetteTransport(httpx.AsyncBaseTransport):
    """For clients of the event loop. `network` makes the client that asks the upstream itself."""

    def __init__(self, deck: Deck, network: Callable[[], httpx.AsyncClient]) -> None:
        self._deck = deck
        self._make = network
        self._made: httpx.AsyncClient | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer. Raises CassetteMissError, and what the network raises or raised when it was recorded."""
        if (play := self._deck.play) is None:
            return await self._network(request).send(request, stream=True)
        question = play.ask(request, await request.aread())
        if question.answer is None:
            return await self._recorded(request, question)
        answer = question.answer
        await _wait(answer.at * self._deck.pacing)
        if answer.status is None:
            if answer.left:
                await anyio.sleep_forever()
            raise answer.error(request)
        stream = _Replayed(answer, self._deck.pacing, request)
        return httpx.Response(answer.status, headers=answer.headers(self._deck.pacing), stream=stream)

    async def aclose(self) -> None:
        """Close the connections."""
        if self._made is not None:
            await self._made.aclose()

    def _network(self, request: httpx.Request) -> httpx.AsyncClient:
        _check(request)
        if self._made is None:
            self._made = self._make()
        return self._made

    async def _recorded(self, request: httpx.Request, question: Question) -> httpx.Response:
        elapsed = _stopwatch()
        request.headers["accept-encoding"] = "identity"
        try:
            response = await self._network(request).send(request, stream=True)
        except httpx.RequestError as error:
            question.keep(Answer(elapsed(), failure=told(error)))
            raise
        except anyio.get_cancelled_exc_class():
            if not self._deck.closing:
                question.keep(Answer(elapsed(), left=True))
            raise
        tape = Tape(_begun(response, elapsed()), elapsed, question.keep)
        return httpx.Response(
            response.status_code, headers=_decoded_headers(response), stream=_Recorded(response, tape, self._deck)
        )


class _Replayed(httpx.AsyncByteStream):
    """The body of a recorded answer, as the pacing wants it."""

    def __init__(self, answer: Answer, pacing: float, request: httpx.Request) -> None:
        self._answer = answer
        self._pacing = pacing
        self._request = request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        before = self._answer.at
        for at, event in self._answer.events:
            await _wait((at - before) * self._pacing)
            before = at
            yield event.encode() + b"\n\n"
        if rest := self._answer.body:
            yield rest if isinstance(rest, bytes) else rest.encode()
        if self._answer.left:
            await anyio.sleep_forever()
        if self._answer.failure:
            raise self._answer.error(self._request)


class _Recorded(httpx.AsyncByteStream):
    """The body of the upstream's answer, on its way past the tape."""

    def __init__(self, response: httpx.Response, tape: Tape, deck: Deck) -> None:
        self._response = response
        self._tape = tape
        self._deck = deck

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._response.aiter_bytes():
                self._tape.add(piece)
                yield piece
        except httpx.RequestError as error:
            self._tape.end(error)
            raise
        self._tape.end()

    async def aclose(self) -> None:
        if not self._deck.closing:
            self._tape.leave()
        await self._response.aclose()


class BlockingCassetteTransport(httpx.BaseTransport):
    """For clients in worker threads, which read whole answers."""

    def __init__(self, deck: Deck, network: Callable[[], httpx.Client]) -> None:
        self._deck = deck
        self._make = network
        self._made: httpx.Client | None = None

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer. Raises CassetteMissError, and what the network raises or raised when it was recorded."""
        if (play := self._deck.play) is None:
            return self._network(request).send(request)
        question = play.ask(request, request.read())
        if question.answer is not None:
            time.sleep(question.answer.at * self._deck.pacing)
        answer = question.answer or self._recorded(request, question)
        if answer.status is None or answer.failure:
            raise answer.error(request)
        body = answer.body if isinstance(answer.body, bytes) else answer.body.encode()
        return httpx.Response(answer.status, headers=answer.headers(self._deck.pacing), content=body)

    def close(self) -> None:
        """Close the connections."""
        if self._made is not None:
            self._made.close()

    def _network(self, request: httpx.Request) -> httpx.Client:
        _check(request)
        if self._made is None:
            self._made = self._make()
        return self._made

    def _recorded(self, request: httpx.Request, question: Question) -> Answer:
        elapsed = _stopwatch()
        request.headers["accept-encoding"] = "identity"
        kept: list[Answer] = []
        try:
            response = self._network(request).send(request)
        except httpx.RequestError as error:
            question.keep(Answer(elapsed(), failure=told(error)))
            raise
        tape = Tape(_begun(response, elapsed()), elapsed, kept.append)
        tape.add(response.content)
        tape.end()
        question.keep(kept[0])
        return kept[0]


def _check(request: httpx.Request) -> None:
    if str(request.url).startswith(NO_UPSTREAM):
        raise CassetteMissError("There is no upstream, and no cassette that could answer.", code="cassette_miss")


def _begun(response: httpx.Response, at: float) -> Answer:
    kind = response.headers.get("content-type", "")
    return Answer(at, response.status_code, kind, _seconds_to_wait(response.headers))


def _seconds_to_wait(headers: httpx.Headers) -> float | None:
    for name, unit in (("retry-after-ms", 1000), ("retry-after", 1)):
        try:
            if (told := headers.get(name)) and (seconds := float(told) / unit) >= 0:
                return seconds
        except ValueError:
            continue
    return None


def _decoded_headers(response: httpx.Response) -> list[tuple[bytes, bytes]]:
    changed = (b"content-encoding", b"content-length", b"transfer-encoding")
    encoded = "content-encoding" in response.headers
    return [(name, value) for name, value in response.headers.raw if not (encoded and name.lower() in changed)]


def _stopwatch() -> Callable[[], float]:
    started = time.perf_counter()
    return lambda: time.perf_counter() - started


async def _wait(seconds: float) -> None:
    if seconds > 0:
        await clock.sleep(seconds)
    else:
        await anyio.lowlevel.checkpoint()
