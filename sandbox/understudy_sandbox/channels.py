"""The wires to one kernel: Jupyter's messages over ZeroMQ sockets in a folder that both sides see.

Everything that arrives was written by the jail and is treated so: sizes are bounded, a connection that broke is
never made again (the jail could have put a link to another socket in its place), what does not parse ends
the kernel.
"""

import json
import secrets
import stat
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zmq
import zmq.asyncio
from jupyter_client.session import Session

from .limits import SandboxLimits

_PORTS = {"shell_port": 1, "iopub_port": 2, "stdin_port": 3, "control_port": 4, "hb_port": 5}
_QUEUE = 200
_MOUTHFUL = 1024 * 1024
_NEVER = 24 * 60 * 60 * 1000  # milliseconds; a broken connection ends its kernel long before


class ProtocolError(Exception):
    """The kernel's side of the wire broke or spoke nonsense."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of the kernel."""

    channel: str
    """`shell`, `control` or `iopub`."""
    kind: str
    parent: str
    """The id of the request it answers."""
    content: dict[str, Any]
    size: int


def message_of(channel: str, raw: Any, size: int) -> Message:
    """A message of the kernel, from what it sent; any error if that is none."""
    kind, content = raw["header"]["msg_type"], raw["content"]
    parent = raw["parent_header"].get("msg_id", "")
    if not (isinstance(kind, str) and isinstance(parent, str) and isinstance(content, dict)):
        raise TypeError("wrong types in a message")
    return Message(channel, kind, parent, content, size)


def execute_request(code: str, silent: bool, expressions: dict[str, str] | None = None) -> dict[str, Any]:
    """The content of a request to run code, and then to answer with the values of expressions."""
    return {
        "code": code,
        "silent": silent,
        "store_history": not silent,
        "user_expressions": expressions or {},
        "allow_stdin": False,
        # An error makes the kernel refuse for a moment what is asked next, for the sake of queues; there is none.
        "stop_on_error": False,
    }


def make_context() -> zmq.asyncio.Context:
    """The one context that all sessions share."""
    return zmq.asyncio.Context()


class Wires(ABC):
    """What carries a session's requests to its kernel, and the answers back."""

    @abstractmethod
    def execute(self, code: str, *, silent: bool = False) -> str:
        """Ask for code to be run; the request's id."""

    @abstractmethod
    def interrupt(self) -> str:
        """Ask for a KeyboardInterrupt, over the channel that is read while code runs; the request's id."""

    @abstractmethod
    async def wait(self, seconds: float) -> None:
        """Wait until something has arrived."""

    @abstractmethod
    def receive(self) -> list[Message]:
        """What has arrived; ProtocolError when the wire broke."""


class Channels(Wires):
    """The sockets of one kernel, made before it starts and connected once it listens."""

    def __init__(self, context: zmq.asyncio.Context, folder: Path, limits: SandboxLimits) -> None:
        self._folder = folder
        self._limits = limits
        self._key = secrets.token_hex(32)
        self._session = Session(key=self._key.encode(), username="understudy")
        self._context = context
        self._sockets: dict[str, zmq.asyncio.Socket] = {}
        self._monitors: list[zmq.asyncio.Socket] = []
        self._poller = zmq.asyncio.Poller()

    def write_connection_file(self, seen_as: str) -> None:
        """Tell the kernel, which sees the folder under another name, where to listen."""
        info = {**_PORTS, "ip": f"{seen_as}/s", "transport": "ipc", "key": self._key}
        info["signature_scheme"] = "hmac-sha256"
        path = self._folder / "c.json"
        path.write_text(json.dumps(info))
        path.chmod(0o644)

    def listening(self) -> bool:
        """Whether the kernel made its last socket; the heartbeat's comes after all others."""
        try:
            return stat.S_ISSOCK(self._path("hb_port").lstat().st_mode)
        except FileNotFoundError:
            return False

    def connect(self) -> None:
        """Connect, before any code of the model runs."""
        for name, kind in (("shell", zmq.DEALER), ("control", zmq.DEALER), ("iopub", zmq.SUB)):
            socket = self._context.socket(kind)
            self._sockets[name] = socket
            self._configure(socket)
            if name == "iopub":
                socket.setsockopt(zmq.SUBSCRIBE, b"")
            self._poller.register(socket, zmq.POLLIN)
            self._monitors.append(socket.get_monitor_socket(zmq.EVENT_DISCONNECTED))
            socket.connect(f"ipc://{self._path(name + '_port')}")

    def _configure(self, socket: zmq.asyncio.Socket) -> None:
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.MAXMSGSIZE, self._limits.message)
        socket.setsockopt(zmq.RCVHWM, _QUEUE)
        # Not -1, which stands for never: ZeroMQ then takes a broken connection's messages away, and where it has
        # read half of one, that is an assertion that aborts the server.
        socket.setsockopt(zmq.RECONNECT_IVL, _NEVER)

    def _path(self, port: str) -> Path:
        return self._folder / f"s-{_PORTS[port]}"

    def execute(self, code: str, *, silent: bool = False) -> str:
        """Ask for code to be run; the request's id."""
        return self._send("shell", "execute_request", execute_request(code, silent))

    def interrupt(self) -> str:
        """Ask for a KeyboardInterrupt, over the channel that is read while code runs; the request's id."""
        return self._send("control", "interrupt_request", {})

    def _send(self, channel: str, kind: str, content: dict[str, Any]) -> str:
        message = self._session.msg(kind, content)
        try:
            self._plain(channel).send_multipart(self._session.serialize(message), zmq.DONTWAIT)
        except zmq.ZMQError as error:
            raise ProtocolError(str(error)) from error
        return str(message["msg_id"])

    def _plain(self, channel: str) -> zmq.Socket[bytes]:
        return zmq.Socket.shadow(self._sockets[channel].underlying)

    async def wait(self, seconds: float) -> None:
        """Wait until something has arrived."""
        await self._poller.poll(max(1, int(seconds * 1000)))

    def receive(self) -> list[Message]:
        """What has arrived, output before replies; ProtocolError when the wire broke."""
        messages = [*self._drain("iopub"), *self._drain("shell"), *self._drain("control")]
        if not messages:
            self._check_connections()
        return messages

    def _drain(self, channel: str) -> list[Message]:
        socket, size = self._plain(channel), 0
        messages: list[Message] = []
        # Bounded, so that a flood cannot keep the event loop from its other duties.
        while len(messages) < _QUEUE and size < _MOUTHFUL:
            try:
                frames = socket.recv_multipart(zmq.DONTWAIT)
            except zmq.Again:
                break
            messages.append(self._parse(channel, frames))
            size += messages[-1].size
        return messages

    def _parse(self, channel: str, frames: list[bytes]) -> Message:
        try:
            parts = self._session.feed_identities(frames)[1]
            return message_of(channel, self._session.deserialize(parts), sum(map(len, frames)))
        except Exception as error:
            raise ProtocolError(f"unreadable message: {error}") from error

    def _check_connections(self) -> None:
        for monitor in self._monitors:
            plain: zmq.Socket[bytes] = zmq.Socket.shadow(monitor.underlying)
            try:
                plain.recv_multipart(zmq.DONTWAIT)
            except zmq.Again:
                continue
            raise ProtocolError("a connection broke")

    def close(self) -> None:
        """Close the sockets."""
        for socket in self._sockets.values():
            socket.disable_monitor()
            socket.close(0)
        for monitor in self._monitors:
            monitor.close(0)
        self._sockets, self._monitors = {}, []
