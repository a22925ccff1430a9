"""A kernel behind a Jupyter gateway: started and ended over HTTP, spoken to over a WebSocket.

What arrives is the code's as much as what a jail's sockets bring, and is bounded alike.
"""

import base64
import json
import logging
import re
import secrets
import time
from contextlib import suppress
from typing import Any

import anyio
import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.protocol import State

from .channels import Message, ProtocolError, Wires, execute_request, message_of
from .courier import SETTLE, Courier
from .errors import SandboxUnavailable
from .excess import Excess
from .folders import delete_tree
from .gateway import Gateway
from .jail import DATA, Jail
from .kernel import Kernel
from .limits import SandboxLimits
from .transcript import Names

log = logging.getLogger("understudy")

_PATIENCE, _FAREWELL = 10.0, 1.0
_GONE = ("restarting", "autorestarting", "dead")
_MOUTHFUL = 200


class RemoteChannels(Wires):
    """The WebSocket to one kernel; a message names the channel that it belongs to."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._name = secrets.token_hex(16)
        self._waiting: list[str] = []
        self._arrived: list[str] = []
        self._ended = False

    @property
    def open(self) -> bool:
        """Whether the kernel is there to be spoken to."""
        return not self._ended and self._socket.state is State.OPEN

    def end(self) -> None:
        """Take it for gone."""
        self._ended = True

    def execute(self, code: str, *, silent: bool = False) -> str:
        """Ask for code to be run; the request's id."""
        return self._send("shell", "execute_request", execute_request(code, silent))

    def evaluate(self, expression: str) -> str:
        """Ask for an expression's value; the request's id."""
        return self._send("shell", "execute_request", execute_request("", True, {"answer": expression}))

    def interrupt(self) -> str:
        """Ask for a KeyboardInterrupt; the request's id."""
        return self._send("control", "interrupt_request", {})

    def _send(self, channel: str, kind: str, content: dict[str, Any]) -> str:
        header = {"msg_id": secrets.token_hex(16), "msg_type": kind, "version": "5.3", "date": ""}
        header |= {"session": self._name, "username": "understudy"}
        message = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": channel}
        self._waiting.append(json.dumps({**message, "buffers": []}))
        return header["msg_id"]

    async def wait(self, seconds: float) -> None:
        """Send what is to be sent, then wait until something has arrived."""
        try:
            while self._waiting:
                await self._socket.send(self._waiting.pop(0))
            with anyio.move_on_after(seconds):
                await self._take()
                while len(self._arrived) < _MOUTHFUL:
                    with anyio.fail_after(0):
                        await self._take()
        except TimeoutError:
            return
        except ConnectionClosed:
            self.end()

    async def _take(self) -> None:
        text = await self._socket.recv()
        # Bytes would be a message with buffers, which nothing of ours asks for.
        if isinstance(text, str):
            self._arrived.append(text)

    def receive(self) -> list[Message]:
        """What has arrived; ProtocolError when the connection or the kernel is gone."""
        arrived, self._arrived = self._arrived, []
        messages = [_parse(text) for text in arrived]
        for message in messages:
            if message.kind == "status" and message.content.get("execution_state") in _GONE:
                self.end()
        if not messages and not self.open:
            raise ProtocolError("the kernel ended")
        return messages

    async def close(self) -> None:
        """Close the connection."""
        self.end()
        await self._socket.close()


def _parse(text: str) -> Message:
    try:
        raw = json.loads(text)
        return message_of(str(raw["channel"]), raw, len(text))
    except Exception as error:
        raise ProtocolError(f"unreadable message: {error}") from error


class RemoteKernel(Kernel):
    """A kernel that the gateway runs. Made by `start` only."""

    def __init__(self, gateway: Gateway, jail: Jail, name: str, channels: RemoteChannels) -> None:
        self._gateway = gateway
        self._jail = jail
        self._name = name
        self._channels = channels
        self.channels = channels
        self.started_at = time.monotonic()
        self.names = Names()
        self.pid = 0
        self.sockets = jail.run
        self.scratch = ()
        self.struck: Excess | None = None

    @classmethod
    async def start(cls, gateway: Gateway, jail: Jail) -> "RemoteKernel":
        """Start a kernel in a fresh folder of its own."""
        name = await _begin(gateway)
        try:
            channels = RemoteChannels(await _connect(gateway, name, jail.limits))
        except BaseException:
            with anyio.CancelScope(shield=True):
                await _delete(gateway, name)
            raise
        kernel = cls(gateway, jail, name, channels)
        try:
            await kernel._settle()
        except BaseException as error:
            with anyio.CancelScope(shield=True):
                await kernel.close()
            if isinstance(error, ProtocolError | ValueError | TypeError | KeyError):
                raise SandboxUnavailable(f"The code interpreter did not start: {error}") from error
            raise
        return kernel

    async def _settle(self) -> None:
        told = json.loads(await self.evaluate(SETTLE))
        folder, prefix = str(told["folder"]), str(told["prefix"])
        self.names = Names({folder: DATA}, {prefix: "/opt/python"} if prefix.count("/") > 1 else {})
        self.courier = Courier(self.evaluate, folder, self._jail.limits)

    async def evaluate(self, expression: str) -> bytes:
        """What an expression, which must be text of Base64, stands for; ProtocolError where it does not come."""
        request = self._channels.evaluate(expression)
        try:
            with anyio.fail_after(self._jail.limits.start_timeout):
                while True:
                    await self._channels.wait(1.0)
                    for message in self._channels.receive():
                        if message.channel == "shell" and message.parent == request:
                            return _value(message.content)
        except TimeoutError as error:
            raise ProtocolError("the kernel does not answer") from error

    @property
    def running(self) -> bool:
        """Whether it can be spoken to."""
        return self._channels.open

    def strike(self, excess: Excess) -> None:
        """Give it up for what it uses."""
        self.struck = excess
        self.end()

    def end(self) -> None:
        """Give it up; the gateway hears of it when it is closed."""
        self._channels.end()

    async def close(self) -> str:
        """Have the gateway end it, where that still answers."""
        await self._channels.close()
        await _delete(self._gateway, self._name)
        with suppress(OSError):
            delete_tree(self._jail.run)
        return ""


def _value(content: dict[str, Any]) -> bytes:
    try:
        text = content["user_expressions"]["answer"]["data"]["text/plain"]
        return base64.b64decode(text.strip("'"), validate=True)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ProtocolError("the kernel's answer cannot be read") from error


async def _begin(gateway: Gateway) -> str:
    try:
        async with httpx.AsyncClient(headers=gateway.headers, timeout=_PATIENCE) as client:
            answer = await client.post(f"{gateway.url}/api/kernels", json={})
    except httpx.HTTPError as error:
        raise SandboxUnavailable(
            f"The Jupyter gateway at {gateway.shown} does not answer: {error or 'too slow'}"
        ) from error
    if not answer.is_success:
        raise SandboxUnavailable(gateway.refusal(answer.status_code))
    found = re.search(r'"id": *"([\w-]{1,64})"', answer.text)
    if not found:
        raise SandboxUnavailable(f"What answers at {gateway.shown} is no Jupyter gateway.")
    return found[1]


async def _connect(gateway: Gateway, name: str, limits: SandboxLimits) -> ClientConnection:
    url = f"ws{gateway.url.removeprefix('http')}/api/kernels/{name}/channels"
    try:
        return await connect(
            url,
            additional_headers=gateway.headers,
            max_size=limits.message,
            open_timeout=limits.start_timeout,
            close_timeout=_FAREWELL,
        )
    except (OSError, TimeoutError, WebSocketException) as error:
        raise SandboxUnavailable(f"The Jupyter gateway at {gateway.shown} lets nobody in: {error}") from error


async def _delete(gateway: Gateway, name: str) -> None:
    try:
        async with httpx.AsyncClient(headers=gateway.headers, timeout=_PATIENCE) as client:
            await client.delete(f"{gateway.url}/api/kernels/{name}")
    except httpx.HTTPError as error:
        log.warning("a kernel of the gateway may live on: %s", error or "it does not answer")
