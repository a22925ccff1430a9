"""`understudy script from-thread`: a script of what happened in a thread, read over HTTP from a running server."""

import base64
from collections.abc import Iterator
from typing import Any

import httpx

from understudy.script.from_thread import Record, script_of
from understudy.settings import StartError


def print_script(thread_id: str, base_url: str, key: str, *, canned: bool) -> None:
    """Print the script. Raises StartError where the server does not tell what happened."""
    headers = {"authorization": f"Bearer {key}", "openai-beta": "assistants=v2"}
    try:
        with httpx.Client(headers=headers, timeout=60) as client:
            print(script_of(_record(client, f"{base_url}/threads/{thread_id}", base_url, canned=canned)), end="")
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise StartError(f"{base_url} does not tell what happened in {thread_id}: {error}") from error


def _record(client: httpx.Client, thread: str, base_url: str, *, canned: bool) -> Record:
    runs = list(_listed(client, f"{thread}/runs"))
    steps = {run["id"]: list(_listed(client, f"{thread}/runs/{run['id']}/steps")) for run in runs}
    images: dict[str, str] | None = None
    if canned:
        images = {
            file_id: _image(client, f"{base_url}/files/{file_id}/content")
            for run in runs
            for step in steps[run["id"]]
            for file_id in _image_ids(step)
        }
    return Record(list(_listed(client, f"{thread}/messages")), runs, steps, images)


def _listed(client: httpx.Client, url: str) -> Iterator[dict[str, Any]]:
    """All objects of a list, oldest first."""
    after: dict[str, str] = {}
    while True:
        page = _got(client, url, {"order": "asc", "limit": "100", **after}).json()
        yield from page["data"]
        if not page["has_more"]:
            return
        after = {"after": page["last_id"]}


def _got(client: httpx.Client, url: str, params: dict[str, str] | None = None) -> httpx.Response:
    response = client.get(url, params=params)
    if response.status_code != 200:
        raise ValueError(f"{url} answers {response.status_code}: {response.text[:300].strip()}")
    return response


def _image_ids(step: dict[str, Any]) -> Iterator[str]:
    for call in step["step_details"].get("tool_calls", []):
        for output in call.get("code_interpreter", {}).get("outputs", []):
            if output["type"] == "image":
                yield output["image"]["file_id"]


def _image(client: httpx.Client, url: str) -> str:
    content = _got(client, url).content
    kind = "png" if content.startswith(b"\x89PNG") else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
