"""One object of each kind at a server, made when it is asked for and made anew when it is gone."""

import hashlib
import itertools
import time
from typing import Any

import httpx

JSON = dict[str, Any]

_FUNCTION = {"type": "function", "function": {"name": "get_price"}}
_TEXT = "Our notes say that the house was built in 1904."
_PART = b"five."
_PREFIXES = {"file": "file-", "assistant": "asst_", "thread": "thread_", "vector_store": "vs_"}
# What goes with an object that is gone.
_INSIDE = {
    "thread": ("message",),
    "message": ("thread",),
    "waiting run": ("waiting step", "waiting thread", "call"),
    "vector_store": ("member", "batch", "runner"),
    "file": ("member", "batch"),
    "member": ("batch",),
    "upload": ("first part", "second part"),
}


class ExistingObjects:
    """Ids by kind. A run is `finished` or `waiting` for tool outputs, and so are its thread and its step."""

    def __init__(self, http: httpx.Client) -> None:
        self.http = http
        self._ids: dict[str, str] = {}
        self._numbers = itertools.count()

    def __getitem__(self, kind: str) -> str:
        if kind.startswith("new "):
            return f"{_PREFIXES[kind.removeprefix('new ')]}chosen{next(self._numbers)}"
        if kind not in self._ids:
            self._ids |= self._make(kind)
        return self._ids[kind]

    def forget(self, kind: str) -> None:
        """It is gone, or no longer what it was."""
        for one in (kind, *_INSIDE.get(kind, ())):
            self._ids.pop(one, None)

    def _make(self, kind: str) -> dict[str, str]:
        body: JSON
        match kind:
            case "assistant":
                body = {"model": "m", "name": "A", "instructions": "Help.", "tools": [_FUNCTION]}
                return {kind: self._post("/assistants", body)["id"]}
            case "runner":
                body = {"model": "m", "tools": [_FUNCTION, {"type": "file_search"}]}
                body["tool_resources"] = {"file_search": {"vector_store_ids": [self["vector_store"]]}}
                return {kind: self._post("/assistants", body)["id"]}
            case "thread" | "message":
                thread = self._post("/threads", {})["id"]
                message = self._post(f"/threads/{thread}/messages", {"role": "user", "content": _TEXT})
                return {"thread": thread, "message": message["id"]}
            case "finished run" | "finished step" | "finished thread":
                return self._run("finished", "auto")
            case "waiting run" | "waiting step" | "waiting thread" | "call":
                return self._run("waiting", _FUNCTION)
            case "file":
                return {kind: self._upload("notes.txt", "assistants")}
            case "download":
                return {kind: self._upload("lines.jsonl", "fine-tune")}
            case "vector_store":
                return {kind: self._post("/vector_stores", {"name": "S"})["id"]}
            case "batch" | "member":
                return self._batch()
            case "upload" | "first part" | "second part":
                return self._parts()
            case "md5":
                return {kind: hashlib.md5(_PART * 2, usedforsecurity=False).hexdigest()}
            case "model":
                return {kind: self._get("/models")["data"][0]["id"]}
        raise AssertionError(kind)

    def _run(self, kind: str, choice: JSON | str) -> dict[str, str]:
        self["member"]
        thread = {"messages": [{"role": "user", "content": "When was the house built?"}]}
        body = {"assistant_id": self["runner"], "thread": thread, "tool_choice": choice}
        run = self._post("/threads/runs", body)
        path = f"/threads/{run['thread_id']}/runs/{run['id']}"
        while run["status"] in ("queued", "in_progress"):
            time.sleep(0.01)
            run = self._get(path)
        assert run["status"] == {"finished": "completed", "waiting": "requires_action"}[kind], run
        step = self._get(f"{path}/steps?order=asc")["data"][0]
        made = {f"{kind} thread": run["thread_id"], f"{kind} run": run["id"], f"{kind} step": step["id"]}
        if run["required_action"]:
            made["call"] = run["required_action"]["submit_tool_outputs"]["tool_calls"][0]["id"]
        return made

    def _upload(self, filename: str, purpose: str) -> str:
        form: JSON = {"files": {"file": (filename, _TEXT.encode())}, "data": {"purpose": purpose}}
        return str(_made(self.http.post("/files", **form))["id"])

    def _batch(self) -> dict[str, str]:
        path = f"/vector_stores/{self['vector_store']}/file_batches"
        batch = self._post(path, {"file_ids": [self["file"]], "attributes": {"year": 1904}})
        while batch["status"] == "in_progress":
            time.sleep(0.01)
            batch = self._get(f"{path}/{batch['id']}")
        return {"batch": batch["id"], "member": self["file"]}

    def _parts(self) -> dict[str, str]:
        body = {"purpose": "assistants", "filename": "a.txt", "mime_type": "text/plain", "bytes": 10}
        made = {"upload": self._post("/uploads", body)["id"]}
        for kind in ("first part", "second part"):
            part = self.http.post(f"/uploads/{made['upload']}/parts", files={"data": _PART})
            made[kind] = _made(part)["id"]
        return made

    def _post(self, path: str, body: JSON) -> JSON:
        return _made(self.http.post(path, json=body))

    def _get(self, path: str) -> JSON:
        return _made(self.http.get(path))


def _made(answer: httpx.Response) -> JSON:
    assert answer.status_code == 200, answer.text
    made: JSON = answer.json()
    return made
