"""Where settings come from: a flag wins over an `UNDERSTUDY_*` variable, a variable over the config file."""

import os
from argparse import ArgumentParser
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml

from understudy.settings import PASS_THROUGH, SECRET, Settings, UsageError, allowed_mode, shown_size


def flag(name: str) -> str:
    """The setting's name in flags and config files."""
    return name.replace("_", "-")


def add_flags(parser: ArgumentParser) -> None:
    """A flag for each setting, and `--config`."""
    parser.add_argument("--config", metavar="FILE", help="YAML file with these settings as keys")
    for one in fields(Settings):
        about = one.metadata
        text = (
            about["about"] if one.default in (None, (), False) else f"{about['about']} (default {shown_default(one)})"
        )
        if one.type is bool:
            parser.add_argument(f"--{flag(one.name)}", action="store_const", const="true", help=text)
        else:
            action = "append" if about["many"] else "store"
            metavar = about["metavar"] or one.name.rsplit("_", maxsplit=1)[-1].upper()
            parser.add_argument(f"--{flag(one.name)}", *about["also"], action=action, metavar=metavar, help=text)


def shown_default(one: Any) -> str:
    """A setting's default as people write it."""
    if one.name == "data_dir":
        return "the user data folder"
    if one.type is bool:
        return str(one.default).lower()
    if one.name == "cassette_pacing":
        return "none"
    return shown_size(one.default) if one.metadata["metavar"] == "SIZE" else str(one.default)


def load(flags: Mapping[str, Any], environ: Mapping[str, str] = os.environ) -> Settings:
    """Settings from flags, `UNDERSTUDY_*` variables and the file that `config` names. Raises UsageError."""
    path = flags.get("config") or environ.get("UNDERSTUDY_CONFIG")
    file = _read_file(Path(path)) if path else {}
    chosen: dict[str, Any] = {}
    for one in fields(Settings):
        variable = f"UNDERSTUDY_{one.name.upper()}"
        if flags.get(one.name) is not None:
            chosen[one.name] = _parse(one, flags[one.name], f"--{flag(one.name)}")
        elif variable in environ:
            chosen[one.name] = _parse(one, environ[variable], variable)
        elif file.get(flag(one.name)) is not None:
            chosen[one.name] = _parse(one, file[flag(one.name)], f"{path}: {flag(one.name)}")
    chosen["cassette_mode"] = allowed_mode(chosen.get("cassette_mode", "none"), environ)
    settings = Settings(**chosen)
    _check(settings)
    return settings


def unknown_variables(environ: Mapping[str, str]) -> list[str]:
    """`UNDERSTUDY_*` variables that are no setting: misspelt, most likely."""
    known = {"UNDERSTUDY_CONFIG", *(f"UNDERSTUDY_{one.name.upper()}" for one in fields(Settings))}
    return sorted(name for name in environ if name.startswith("UNDERSTUDY_") and name not in known)


def _read_file(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text()) or {}
    except OSError as error:
        raise UsageError(f"--config {path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"--config {path} is not YAML: {error}") from error
    if not isinstance(content, dict):
        raise UsageError(f"--config {path}: expected a mapping of settings")
    known = {flag(one.name) for one in fields(Settings)}
    keys = {flag(str(key)): value for key, value in content.items()}
    if unknown := sorted(keys.keys() - known):
        raise UsageError(f"--config {path}: unknown setting {unknown[0]}; known are {', '.join(sorted(known))}")
    return keys


def _parse(one: Any, value: Any, source: str) -> Any:
    about = one.metadata
    try:
        if not about["many"]:
            return about["parse"](str(value))
        if isinstance(value, Mapping):
            value = [f"{name}={served}" for name, served in value.items()]
        items = value if isinstance(value, list) else str(value).split(about["separator"])
        texts = [str(item).strip() for item in items if str(item).strip()]
        value = ",".join(texts)
        return tuple(about["parse"](text) for text in texts)
    except ValueError as error:
        shown = "" if one.name in SECRET else f" {value!r}"
        raise UsageError(f"{source}{shown}: {error}") from error


def _check(settings: Settings) -> None:
    if not settings.loopback and not settings.api_key and not settings.allow_anonymous:
        raise UsageError(
            f"--host {settings.host} lets other machines in: give --api-key KEY, or --allow-anonymous if that is meant"
        )
    if settings.cassette_mode != "none" and settings.cassette is None:
        raise UsageError(f"--mode {settings.cassette_mode} needs --cassette FILE")
    if settings.sandbox == "gateway" and not settings.sandbox_url:
        raise UsageError("--sandbox gateway needs --sandbox-url http://HOST:PORT")
    if settings.test_api:
        _check_test_mode(settings)
    if settings.upstream is None:
        _check_without_upstream(settings)
    elif settings.embedder.startswith("upstream:") and settings.upstream_key == PASS_THROUGH:
        raise UsageError(f"--embedder {settings.embedder} needs --upstream-key KEY: files are embedded for all callers")


def _check_test_mode(settings: Settings) -> None:
    """Each key has a world of its own, which nothing that all of them wrote to could be a part of."""
    if settings.database_url:
        raise UsageError("--test-api keeps each key's world in a folder of its own: it goes with no --database-url")
    if settings.chroma_url:
        raise UsageError("--test-api keeps each key's world in a folder of its own: it goes with no --chroma-url")
    if settings.cassette is not None and settings.cassette_mode != "none":
        raise UsageError(
            f"--mode {settings.cassette_mode}: in test mode a test names the cassette that it records, "
            "with PUT /_understudy/cassette"
        )


def _check_without_upstream(settings: Settings) -> None:
    if settings.cassette is not None:
        mode = settings.cassette_mode
        if mode in ("new", "all") or (mode == "once" and not settings.cassette.exists()):
            raise UsageError(f"--mode {mode} needs --upstream URL, whose answers are recorded")
        return
    if settings.upstream_key:
        raise UsageError("--upstream-key needs --upstream")
    if settings.model:
        raise UsageError(f"--model {settings.model} needs --upstream URL: without one the offline model answers")
    if settings.embedder.startswith("upstream:"):
        raise UsageError(f"--embedder {settings.embedder} needs --upstream")
