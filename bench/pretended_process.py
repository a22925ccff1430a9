"""The Assistants API as a test's own mock pretends it: `python pretended_process.py PORT`, ready-made JSON."""

import sys

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

_TEXT = {"type": "text", "text": {"value": "Hi!", "annotations": []}}
_MESSAGE = {"id": "msg_1", "object": "thread.message", "thread_id": "thread_1", "role": "assistant", "content": [_TEXT]}
_RUN = {"id": "run_1", "object": "thread.run", "thread_id": "thread_1", "status": "completed"}
_LIST = {"object": "list", "data": [_MESSAGE], "first_id": "msg_1", "last_id": "msg_1", "has_more": False}


def _answer(method: str, path: str, body: dict[str, object]) -> Route:
    async def answer(_request: Request) -> JSONResponse:
        return JSONResponse(body)

    return Route(f"/v1/{path}", answer, methods=[method])


if __name__ == "__main__":
    routes = [
        _answer("POST", "assistants", {"id": "asst_1", "object": "assistant"}),
        _answer("POST", "threads", {"id": "thread_1", "object": "thread"}),
        _answer("POST", "threads/{thread}/messages", _MESSAGE),
        _answer("GET", "threads/{thread}/messages", _LIST),
        _answer("POST", "threads/{thread}/runs", _RUN),
        _answer("GET", "threads/{thread}/runs/{run}", _RUN),
    ]
    uvicorn.run(Starlette(routes=routes), port=int(sys.argv[1]), access_log=False, log_level="error")
