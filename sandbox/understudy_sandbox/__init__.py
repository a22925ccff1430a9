"""The walled code interpreter: a Jupyter kernel per session, behind the strongest wall that stands.

Knows neither HTTP nor SQL nor the API. Importing it is cheap: what talks to kernels comes with the first session.
"""

from .errors import SandboxUnavailable
from .files import plain_name
from .limits import SandboxLimits
from .outputs import ExecResult, Image, Logs, Output
from .probe import WALLS, Verdict
from .sandbox import Sandbox
from .session import KernelSession
from .wall import WallOptions

__all__ = [
    "WALLS",
    "ExecResult",
    "Image",
    "KernelSession",
    "Logs",
    "Output",
    "Sandbox",
    "SandboxLimits",
    "SandboxUnavailable",
    "Verdict",
    "WallOptions",
    "plain_name",
]
