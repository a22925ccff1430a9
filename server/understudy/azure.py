"""Azure's paths for the same API: `/openai/…`, `/openai/v1/…` and `/openai/deployments/NAME/…` stand for `/v1/…`."""

import re

from starlette.types import ASGIApp, Receive, Scope, Send

# A name may hold slashes: what ends it are the paths that Azure has under a deployment, else the first slash.
_DEPLOYMENT = re.compile(
    r"/deployments/(?:(?P<name>.+?)(?=/(?:chat/completions|completions|embeddings|audio/\w+|images/\w+)$)"
    r"|(?P<segment>[^/]+))(?P<rest>/.*)"
)
_VERSION = b"api-version"


class AzurePaths:
    """Rewrites paths before they are routed. `raw_path` stays as the client wrote it: the log shows that one."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http":
            if scope["path"].startswith("/openai/"):
                _rewrite(scope)
            if _VERSION in scope["query_string"]:
                parameters = scope["query_string"].split(b"&")
                kept = [one for one in parameters if one.partition(b"=")[0] != _VERSION]
                scope["query_string"] = b"&".join(kept)
        await self._app(scope, receive, send)


def _rewrite(scope: Scope) -> None:
    scope["understudy.path"] = scope["path"]
    path = scope["path"].removeprefix("/openai")
    if found := _DEPLOYMENT.fullmatch(path):
        scope["understudy.deployment"] = found["name"] or found["segment"]
        path = found["rest"]
    scope["path"] = "/v1" + (path.removeprefix("/v1") or "/")
