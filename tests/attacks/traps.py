"""What the host puts up where a jail might reach it: a file, and servers that note who talks to them."""

import shutil
import socketserver
import tempfile
import threading
import uuid
from pathlib import Path
from typing import Any


class Traps:
    """Open to every user of the host; nobody behind a wall may find them."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="traps-", dir="/tmp"))
        self.folder.chmod(0o755)
        self.canary = self.folder / "canary"
        self.abstract = f"understudy-{uuid.uuid4().hex}"
        self.visits: list[str] = []
        """The kinds of sockets that somebody talked to."""
        tcp = socketserver.TCPServer(("127.0.0.1", 0), self._handler("TCP"))
        self.port: int = tcp.server_address[1]
        self._servers: list[socketserver.BaseServer] = [
            tcp,
            socketserver.UDPServer(("127.0.0.1", self.port), self._handler("UDP")),
            socketserver.UnixStreamServer(f"{self.folder}/stream", self._handler("UNIX")),
            socketserver.UnixDatagramServer(f"{self.folder}/datagrams", self._handler("UNIX datagrams")),
            socketserver.UnixStreamServer(f"\0{self.abstract}", self._handler("abstract")),
        ]
        for server in self._servers:
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        self.reset()
        for path in self.folder.iterdir():
            path.chmod(0o666)

    def reset(self) -> None:
        """Forget who was here."""
        self.visits.clear()
        self.canary.write_text("canary")

    @property
    def untouched(self) -> bool:
        """Whether nobody was here."""
        return not self.visits and self.canary.read_text() == "canary"

    def close(self) -> None:
        """Take everything down."""
        for server in self._servers:
            server.shutdown()
            server.server_close()
        shutil.rmtree(self.folder)

    def _handler(self, kind: str) -> type[socketserver.BaseRequestHandler]:
        visits = self.visits

        class Note(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                visits.append(kind)
                request: Any = self.request
                if isinstance(request, tuple) and self.client_address:
                    request[1].sendto(b"here", self.client_address)

        return Note
