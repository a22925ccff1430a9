"""A Jupyter gateway, which somebody else runs and walls, in the place of a wall of ours."""

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from .errors import SandboxUnavailable
from .interpreter import Interpreter
from .jail import Jail
from .wall import Boundary

if TYPE_CHECKING:
    import zmq.asyncio

    from .remote_kernel import RemoteKernel

_PATIENCE = 5.0
_WARNING = (
    "The code interpreter's kernels run at the Jupyter gateway {shown}: what their code can reach there, its memory, "
    "its processes and its disk are for that gateway's own walls to hold."
)


class Gateway(Boundary):
    """Kernels of a Jupyter Kernel Gateway, or of what speaks as one does."""

    name = "gateway"

    def __init__(self, url: str | None, token: str | None) -> None:
        if url is None:
            raise SandboxUnavailable("The code interpreter needs its gateway's address: give --sandbox-url http://….")
        self.url = url.rstrip("/")
        self.headers = {"Authorization": f"token {token}"} if token else {}
        parts = urlsplit(self.url)
        self.shown = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query=""))
        """The address as it may be shown."""
        # One that does not answer now may do so when code is to run.
        self.warning = " ".join((_WARNING.format(shown=self.shown), *self._troubles()))

    def _troubles(self) -> list[str]:
        import httpx

        try:
            answer = httpx.get(f"{self.url}/api/kernelspecs", headers=self.headers, timeout=_PATIENCE)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return [f"It does not answer now ({error})."]
        return [] if answer.is_success else [self.refusal(answer.status_code)]

    def refusal(self, status: int) -> str:
        """What an answer that is no success means."""
        if status in (401, 403):
            return f"The Jupyter gateway at {self.shown} wants another token: give --sandbox-token."
        return f"The Jupyter gateway at {self.shown} answered with status {status}."

    def inspect(self, python: Path | None) -> Interpreter:  # noqa: ARG002
        """Nothing is known of the gateway's."""
        return Interpreter(Path("python"), Path("/"), (), None)

    async def start(self, jail: Jail, context: "zmq.asyncio.Context") -> "RemoteKernel":  # noqa: ARG002
        """Have the gateway start a kernel."""
        from .remote_kernel import RemoteKernel

        return await RemoteKernel.start(self, jail)
