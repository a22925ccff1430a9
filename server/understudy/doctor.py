"""`understudy doctor`: what this machine has, one line each with what to do."""

import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import anyio
from sqlalchemy.exc import SQLAlchemyError

from understudy.app import make_sandbox
from understudy.database import Database
from understudy.retrieval_folder import hint
from understudy.settings import Settings, StartError

Finding = tuple[str, str, str]
"""A mark (`ok`, `--` for what is missing but not needed, `!!` for what is wrong), a subject, a sentence."""

_PROBE = {
    "type": "function",
    "function": {
        "name": "report",
        "description": "Report a number.",
        "parameters": {"type": "object", "properties": {"number": {"type": "integer"}}, "required": ["number"]},
    },
}


def doctor(settings: Settings) -> None:
    """Print the findings. Raises StartError where something is wrong."""
    findings = []
    for finding in _findings(settings):
        findings.append(finding)
        mark, subject, sentence = finding
        print(f"{mark:2}  {subject:16}  {sentence}", flush=True)
    if wrong := [subject for mark, subject, _ in findings if mark == "!!"]:
        raise StartError(f"to be mended: {', '.join(wrong)} (see above)")


def _findings(settings: Settings) -> Iterator[Finding]:
    yield _data_folder(settings.data_dir)
    if settings.database_url:
        yield _database(settings.database_url)
    yield _port(settings)
    yield anyio.run(_sandbox, settings)
    yield _file_search(settings)
    if settings.upstream is None:
        yield (
            "--",
            "upstream",
            f"none: the {settings.stand_in} model answers. Give --upstream URL (or openai, ollama, …) for one",
        )
        return
    yield from _upstream(settings)


def _data_folder(folder: Path) -> Finding:
    present = folder
    while not present.exists():
        present = present.parent
    if not os.access(present, os.W_OK) or present.is_relative_to("/proc"):
        return "!!", "data folder", f"{folder} cannot be written: name another --data-dir"
    stats = os.statvfs(present)
    free = stats.f_bavail * stats.f_frsize / 1024**3
    return (
        "ok" if free > 1 else "!!",
        "data folder",
        f"{folder}, {free:.0f} GiB free" + ("" if free > 1 else ": make room"),
    )


def _database(url: str) -> Finding:
    try:
        database = Database(url)
        database.check()
    except (ImportError, SQLAlchemyError) as error:
        reason = str(error.__cause__ or error).strip().splitlines()[0]
        return "!!", "database", f"{reason}; PostgreSQL needs psycopg: pip install 'psycopg[binary]'"
    database.close()
    return "ok", "database", database.url.render_as_string()


def _port(settings: Settings) -> Finding:
    where = f"{settings.host}:{settings.port}"
    try:
        with socket.create_server((settings.host, settings.port), reuse_port=False):
            return "ok", "port", f"{where} is free"
    except OSError:
        return "--", "port", f"{where} is taken: by a running Understudy? Otherwise choose another --port"


async def _sandbox(settings: Settings) -> Finding:
    with tempfile.TemporaryDirectory(prefix="understudy-doctor-") as folder:
        sandbox = make_sandbox(settings, Path(folder))
        try:
            verdict = await sandbox.probe()
        finally:
            await sandbox.aclose()
    if verdict.wall is None:
        return "!!" if settings.sandbox != "off" else "--", "code interpreter", verdict.hint or "off"
    if verdict.hint:
        return "!!", "code interpreter", verdict.hint
    return "ok", "code interpreter", f"walled by {verdict.wall}"


def _file_search(settings: Settings) -> Finding:
    if found := hint(settings):
        return "!!" if settings.embedder.startswith("sentence-transformers:") else "--", "file search", found
    if settings.embedder == "none":
        return "ok", "file search", "without an embedding model, as --embedder says: words alone decide"
    return "ok", "file search", f"by meaning ({settings.embedder}) and words"


def _upstream(settings: Settings) -> Iterator[Finding]:
    from openai import OpenAI, OpenAIError

    key = settings.upstream_key or "none"
    assert settings.upstream is not None
    with OpenAI(base_url=settings.upstream, api_key=key, max_retries=0, timeout=30) as client:
        try:
            names = [model.id for model in client.models.list()]
            shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
            yield (
                "ok",
                "upstream",
                f"{settings.shown_upstream} serves {shown}",
            )
        except OpenAIError as error:
            yield (
                "!!",
                "upstream",
                f"{settings.shown_upstream} lists no models ({error}): does it run, is the key right?",
            )
            return
        model = settings.model or next(iter(names), None)
        if model is None:
            yield "!!", "tool calls", "not tried: the upstream names no model, give --model NAME"
            return
        try:
            answer = client.chat.completions.create(
                model=model,
                messages=[{"role": "user", "content": "Report the number 7 with the function."}],
                tools=[_PROBE],  # type: ignore[list-item]
            )
        except OpenAIError as error:
            yield "!!", "tool calls", f"{model} refused a request with tools ({error}): choose a model that calls tools"
            return
        choices = getattr(answer, "choices", None)
        if choices is None:
            yield "!!", "tool calls", f"{model} did not answer in the format of Chat Completions"
        elif choices and choices[0].message.tool_calls:
            yield "ok", "tool calls", f"{model} calls tools"
        else:
            yield (
                "--",
                "tool calls",
                f"{model} did not call the tool it was given: functions and code may not work",
            )
