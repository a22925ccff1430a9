"""A test's hand on its namespace: what `/_understudy` offers, as methods."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import httpx

if TYPE_CHECKING:
    from openai import AsyncOpenAI, OpenAI

_START_SECONDS = 120.0


class Record(dict[str, Any]):
    """A JSON object whose fields are attributes too, at every depth: `run.last_error.code`, `run["last_error"]`."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


def _record(value: Any) -> Any:
    if isinstance(value, dict):
        return Record({name: _record(one) for name, one in value.items()})
    return [_record(one) for one in value] if isinstance(value, list) else value


class ControlError(Exception):
    """The server refused what the test asked of it; the text says why."""


class UnmatchedModelCallError(AssertionError):
    """The script had no answer for a model call."""


class Clock:
    """The namespace's time."""

    def __init__(self, owner: Understudy) -> None:
        self._owner = owner

    @property
    def now(self) -> float:
        """Seconds since the epoch."""
        now: float = self._owner.call("GET", "/clock").now
        return now

    def freeze(self, at: float | datetime | None = None) -> None:
        """Let time stand still, at the present if no other is given."""
        self._owner.call("POST", "/clock/freeze", {"at": at.timestamp() if isinstance(at, datetime) else at})

    def resume(self) -> None:
        """Let time run on."""
        self._owner.call("POST", "/clock/resume")

    def advance(self, *, seconds: float = 0, minutes: float = 0, hours: float = 0, days: float = 0) -> None:
        """Let time pass; returns when everything that fell due has happened."""
        body = {"seconds": seconds, "minutes": minutes, "hours": hours, "days": days}
        self._owner.call("POST", "/clock/advance", body)


class Understudy:
    """One namespace of a server in test mode. Its methods raise ControlError."""

    def __init__(self, root: str, api_key: str) -> None:
        self.base_url = f"{root}/v1"
        """What OPENAI_BASE_URL is."""
        self.api_key = api_key
        """What OPENAI_API_KEY is: the namespace."""
        self.clock = Clock(self)
        self._http = httpx.Client(
            base_url=f"{root}/_understudy",
            headers={"Authorization": f"Bearer {api_key}"},
            timeout=_START_SECONDS,
            # To load the certificates takes as long as a whole test.
            verify=root.startswith("https:"),
            trust_env=False,
        )
        self._rules: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Call a control route."""
        response = self._http.request(method, path, json=body)
        if response.status_code != httpx.codes.OK:
            raise ControlError(_reason(response))
        return _record(response.json())

    # -----------------------------------------------------------------------------------------------------------------
    # What the model says

    def script(self, script: str | Path) -> None:
        """Let the model do as a script says: a path, or the YAML itself."""
        text = str(script)
        folder = None
        if isinstance(script, Path) or ("\n" not in text and text.endswith((".yaml", ".yml", ".json"))):
            path = Path(script)
            text, name, folder = path.read_text(), path.name, str(path.parent.absolute())
        else:
            name = "script"
        self.call("PUT", "/script", {"text": text, "name": name, "folder": folder})

    def reply(self, user: str, reply: str) -> None:
        """Answer a user's text with another; several of them make one script."""
        import json

        self._rules.append({"when": {"user": user}, "reply": reply})
        self.call("PUT", "/script", {"text": json.dumps({"version": 1, "rules": self._rules}), "name": "reply()"})

    def auto(self) -> None:
        """Let a model answer that uses every tool once and then tells their outputs as JSON."""
        self.call("PUT", "/stand_in", {"name": "auto"})

    def cassette(self, path: str | Path, *, mode: str = "none") -> None:
        """Replay model calls from a cassette, or record them there."""
        self.call("PUT", "/cassette", {"path": str(Path(path).absolute()), "mode": mode})

    # -----------------------------------------------------------------------------------------------------------------
    # What happens

    def fault(self, match: str | None = None, **fault: Any) -> None:
        """Let something go wrong: `fault("POST /v1/threads", status=500)`, `fault(fail_run="server_error")`."""
        self.call("POST", "/faults", {"match": match, **fault})

    def timing(self, *, polls: int = 0, seconds: float = 0) -> None:
        """Let runs take so many polls, then so many seconds of the clock."""
        self.call("PUT", "/timing", {"polls": polls, "seconds": seconds})

    def seed(self, seed: int | str | None) -> None:
        """Draw ids from a seed; None: by chance."""
        self.call("PUT", "/seed", {"seed": seed})

    def ids(self, **chosen: list[str]) -> None:
        """Choose the ids that come next: `ids(thread=["thread_one"])`."""
        self.call("PUT", "/ids", chosen)

    def reset(self) -> None:
        """Begin anew: nothing is there but snapshots."""
        self._rules.clear()
        self.call("POST", "/reset")

    def snapshot(self) -> str:
        """Keep all objects, the time and the seed; the snapshot's id."""
        snapshot_id: str = self.call("POST", "/snapshots").id
        return snapshot_id

    def restore(self, snapshot_id: str) -> None:
        """Go back to a snapshot."""
        self.call("POST", f"/snapshots/{snapshot_id}/restore")

    # -----------------------------------------------------------------------------------------------------------------
    # What has happened

    @property
    def runs(self) -> list[Any]:
        """All runs, oldest first."""
        return list(self.call("GET", "/runs").data)

    @property
    def last_run(self) -> Any:
        """The newest run. Raises LookupError where there is none."""
        runs = self.runs
        if not runs:
            raise LookupError("there was no run")
        return runs[-1]

    @property
    def requests(self) -> list[Any]:
        """The requests since the last reset, oldest first."""
        return list(self.call("GET", "/requests").data)

    @property
    def model_calls(self) -> list[Any]:
        """The calls of the language model since the last reset, oldest first."""
        return list(self.call("GET", "/model_calls").data)

    def check_matched(self) -> None:
        """Raise UnmatchedModelCallError where the script had no answer for a model call."""
        unmatched = [call for call in self.model_calls if call.unmatched]
        if unmatched:
            told = "\n".join(str(call.error) for call in unmatched)
            raise UnmatchedModelCallError(f"{len(unmatched)} model calls that no rule of the script matched:\n{told}")

    # -----------------------------------------------------------------------------------------------------------------
    # Official clients

    def client(self, **options: Any) -> OpenAI:
        """The official client of this namespace."""
        from openai import OpenAI

        return OpenAI(**{"base_url": self.base_url, "api_key": self.api_key, **options})

    def async_client(self, **options: Any) -> AsyncOpenAI:
        """The official asynchronous client of this namespace."""
        from openai import AsyncOpenAI

        return AsyncOpenAI(**{"base_url": self.base_url, "api_key": self.api_key, **options})


def _reason(response: httpx.Response) -> str:
    try:
        return str(response.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return f"{response.request.method} {response.request.url} answered {response.status_code}: is it in test mode?"
