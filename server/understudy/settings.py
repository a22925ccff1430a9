"""Every setting: a flag `--data-dir`, a variable `UNDERSTUDY_DATA_DIR` and a key `data-dir` of the config file.

The one table is the fields of `Settings`; configuration.py reads them.
"""

import fnmatch
import ipaddress
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import platformdirs

KNOWN_UPSTREAMS = {
    "openai": "https://api.openai.com/v1",
    "ollama": "http://127.0.0.1:11434/v1",
    "lmstudio": "http://127.0.0.1:1234/v1",
    "vllm": "http://127.0.0.1:8000/v1",
    "llamacpp": "http://127.0.0.1:8080/v1",
}
PASS_THROUGH = "pass-through"  # noqa: S105
_KIB, _MIB, _GIB = 1024, 1024**2, 1024**3
SANDBOXES = ("auto", "bubblewrap", "docker", "landlock", "gateway", "unsafe-local", "off")
SECRET = ("upstream_key", "api_key", "database_url", "sandbox_url", "sandbox_token")
"""What no error shows."""
CASSETTE_MODES = ("none", "once", "new", "all")


class UsageError(Exception):
    """A setting is wrong; the text says which one and what to do."""


class StartError(Exception):
    """A command cannot do its work here; the text says why and what to do."""


def _boolean(value: str) -> bool:
    if value.lower() in ("1", "true", "yes", "on"):
        return True
    if value.lower() in ("0", "false", "no", "off", ""):
        return False
    raise ValueError("expected true or false")


def _size(smallest: int, largest: int | None = None) -> Callable[[str], int]:
    def parse(value: str) -> int:
        size = _bytes(value)
        if size < smallest:
            raise ValueError(f"{size} bytes are too few: expected a size such as 512MiB or 2GiB")
        if largest is not None and size > largest:
            raise ValueError(f"expected at most {shown_size(largest)}")
        return size

    return parse


def _bytes(value: str) -> int:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?", value.strip().lower())
    if not found:
        raise ValueError("expected a size such as 512MiB or 2GiB")
    return int(float(found[1]) * 1024 ** " kmgt".index(found[2] or " "))


def shown_size(size: int) -> str:
    """A number of bytes as people write it."""
    for unit, name in ((_GIB, "GiB"), (_MIB, "MiB"), (_KIB, "KiB")):
        if size >= unit and size % unit == 0:
            return f"{size // unit}{name}"
    return str(size)


def _database_url(value: str) -> str:
    if not re.match(r"postgresql(\+psycopg)?://", value):
        raise ValueError("expected postgresql://USER:PASSWORD@HOST/NAME")
    return value


def _positive(number: Callable[[str], Any]) -> Callable[[str], Any]:
    def parse(value: str) -> Any:
        if (parsed := number(value)) <= 0:
            raise ValueError("expected a number above 0")
        return parsed

    return parse


def _at_least(smallest: int) -> Callable[[str], int]:
    def parse(value: str) -> int:
        if not value.isdecimal() or int(value) < smallest:
            raise ValueError(f"expected a whole number from {smallest} on")
        return int(value)

    return parse


def _one_of(*choices: str) -> Callable[[str], str]:
    def parse(value: str) -> str:
        if value not in choices:
            raise ValueError(f"expected one of {', '.join(choices)}")
        return value

    return parse


def _port(value: str) -> int:
    if not value.isdecimal() or int(value) > 65535:
        raise ValueError("expected a port from 0 (any free one) to 65535")
    return int(value)


def _upstream(value: str) -> str:
    url = KNOWN_UPSTREAMS.get(value, value)
    if not re.match(r"https?://[^/\s]", url) or not _has_valid_port(url):
        raise ValueError(f"expected a base URL (http://…) or one of {', '.join(KNOWN_UPSTREAMS)}")
    return url.rstrip("/")


def _has_valid_port(url: str) -> bool:
    try:
        return urlsplit(url).port != 0
    except ValueError:
        return False


def _key(value: str) -> str:
    # A key that came from a file ends in a line break.
    key = value.strip()
    if not key.isascii() or not key.isprintable():
        raise ValueError("expected printable ASCII")
    return key


def _embedder(value: str) -> str:
    kind, _, name = value.partition(":")
    if value not in ("minilm", "none") and not (kind in ("sentence-transformers", "upstream") and name.strip()):
        raise ValueError("expected minilm, sentence-transformers:NAME, upstream:NAME or none")
    return value


def _http_url(value: str) -> str:
    if not re.match(r"https?://[^/\s]", value) or not _has_valid_port(value):
        raise ValueError("expected http://HOST:PORT")
    return value.rstrip("/")


def _pacing(value: str) -> float:
    factor = {"none": 0.0, "real": 1.0}.get(value)
    factor = float(value) if factor is None and re.fullmatch(r"\d+(\.\d+)?", value) else factor
    if factor is None:
        raise ValueError("expected none, real or a factor such as 0.5")
    return factor


def _pattern(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"expected a regular expression: {error}") from error
    return value


def _pair(text: str) -> tuple[str, str]:
    name, separator, served = text.partition("=")
    if not (separator and name.strip() and served.strip()):
        raise ValueError("expected NAME=SERVED")
    return name.strip(), served.strip()


def _window(text: str) -> tuple[str, int]:
    try:
        name, tokens = _pair(text)
        return name, _positive(int)(tokens)
    except ValueError as error:
        raise ValueError("expected NAME=TOKENS") from error


def _setting(
    default: Any,
    about: str,
    parse: Callable[[str], Any] = str,
    *,
    many: bool = False,
    metavar: str = "",
    also: tuple[str, ...] = (),
    separator: str = ",",
) -> Any:
    """`also` are further flags of the setting; `separator` stands between several values in its variable."""
    metadata = {"about": about, "parse": parse, "many": many, "metavar": metavar, "also": also, "separator": separator}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The server's settings."""

    host: str = _setting("127.0.0.1", "address to listen on")
    port: int = _setting(8700, "port to listen on; 0 takes a free one", _port)
    data_dir: Path = _setting(
        Path(platformdirs.user_data_dir("understudy", appauthor=False)),
        "folder of the database, the files and the sandbox",
        lambda value: Path(value).expanduser().absolute(),
    )
    database_url: str | None = _setting(
        None, "PostgreSQL URL in the place of the data folder's SQLite database", _database_url
    )
    upstream: str | None = _setting(
        None, "base URL of a Chat Completions server, or openai, ollama, lmstudio, vllm, llamacpp", _upstream
    )
    upstream_key: str | None = _setting(None, "its API key, or pass-through: the caller's", _key, metavar="KEY")
    model: str | None = _setting(
        None, "model that the upstream is asked for in conversations, whatever a request names"
    )
    script: Path | None = _setting(
        None, "YAML or JSON file that says what the model does", lambda value: Path(value).expanduser()
    )
    stand_in: str = _setting(
        "offline",
        "what answers where there is no upstream: offline, or auto, which calls every tool once for tests",
        _one_of("offline", "auto"),
    )
    models: tuple[tuple[str, str], ...] = _setting(
        (), "requested name or glob = served name", _pair, many=True, metavar="NAME=SERVED"
    )
    api_key: tuple[str, ...] = _setting((), "key that clients must send", many=True, metavar="KEY")
    allow_anonymous: bool = _setting(False, "listen on other hosts' addresses without keys", _boolean)
    allowed_host: tuple[str, ...] = _setting((), "Host header that is answered besides the loopback names", many=True)
    cors_origin: tuple[str, ...] = _setting((), "origin whose pages may call the API", many=True)
    sandbox: str = _setting("auto", "wall of the code interpreter: " + ", ".join(SANDBOXES), _one_of(*SANDBOXES))
    sandbox_python: Path | None = _setting(
        None, "Python that runs the code, with the packages it may import", lambda value: Path(value).expanduser()
    )
    sandbox_image: str = _setting("understudy-kernel", "image of the containers in which docker or podman run the code")
    sandbox_url: str | None = _setting(None, "address of the Jupyter gateway that runs the code", _http_url)
    sandbox_token: str | None = _setting(None, "its token", _key)
    sandbox_timeout: float = _setting(60.0, "seconds that one call of the code interpreter may take", _positive(float))
    sandbox_memory: int = _setting(
        2 * _GIB, "memory of a session's processes together, their /tmp included", _size(128 * _MIB), metavar="SIZE"
    )
    sandbox_disk: int = _setting(
        _GIB,
        "size of a session's /mnt/data besides the user's files; one file may have half of it",
        _size(64 * _MIB),
        metavar="SIZE",
    )
    sandbox_processes: int = _setting(64, "processes and threads of a session", _at_least(16), metavar="NUMBER")
    sandbox_output: int = _setting(256 * _KIB, "text that is kept of one call", _size(_KIB, 16 * _MIB), metavar="SIZE")
    sandbox_idle: float = _setting(
        1800.0, "seconds after which an unused session's variables are dropped", _positive(float), metavar="SECONDS"
    )
    sandbox_sessions: int = _setting(
        64,
        "sessions that are kept running at once; beyond, the least recently used gives way",
        _at_least(1),
        metavar="NUMBER",
    )
    sandbox_warm: int = _setting(
        1,
        "of these, sessions that are started before a thread asks, once a run may use the code interpreter",
        _at_least(0),
        metavar="NUMBER",
    )
    embedder: str = _setting(
        "minilm",
        "embedding model of file search: minilm, sentence-transformers:NAME, upstream:NAME, or none",
        _embedder,
    )
    chroma_url: str | None = _setting(
        None, "Chroma server that holds the vector indexes in the place of the data folder", _http_url
    )
    cassette: Path | None = _setting(
        None,
        "file of recorded answers, which stand in for the upstream",
        lambda value: Path(value).expanduser().absolute(),
        metavar="FILE",
    )
    cassette_mode: str = _setting(
        "none",
        "what the upstream is asked: none (nothing), once (everything where there is no file yet), new (what the file "
        "does not know) or all; also given by `--mode`; always none where the variable CI is set",
        _one_of(*CASSETTE_MODES),
        also=("--mode",),
    )
    cassette_pacing: float = _setting(
        0.0, "how long replays take: none (no time), real, or a factor of that", _pacing, metavar="PACING"
    )
    redact: tuple[str, ...] = _setting(
        (),
        "regular expression for what must not get into a cassette; the variable has one in each line",
        _pattern,
        many=True,
        metavar="PATTERN",
        separator="\n",
    )
    max_tool_rounds: int = _setting(32, "rounds of tool calls after which a run fails", _positive(int))
    context_window: int = _setting(
        128_000, "tokens that a prompt may have before truncation drops messages from its middle", _positive(int)
    )
    context_windows: tuple[tuple[str, int], ...] = _setting(
        (), "the same for a model, by its requested name or a glob", _window, many=True, metavar="NAME=TOKENS"
    )
    test_api: bool = _setting(
        False, "serve tests: each API key has a world of its own, and /_understudy controls it", _boolean
    )
    log_level: str = _setting("info", "debug, info, warning or error", _one_of("debug", "info", "warning", "error"))
    log_content: bool = _setting(False, "write prompts and answers into the log", _boolean)

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def database(self) -> str:
        """The database's URL."""
        return self.database_url or f"sqlite:///{self.data_dir / 'understudy.db'}"

    @property
    def shown_upstream(self) -> str | None:
        """The upstream's URL as it may be shown: without a user's name, password or query."""
        if self.upstream is None:
            return None
        url = urlsplit(self.upstream)
        return urlunsplit(url._replace(netloc=url.netloc.rpartition("@")[2], query=""))

    def served_model(self, requested: str) -> str:
        """The name under which the upstream serves a requested model."""
        for name, served in self.models:
            if fnmatch.fnmatchcase(requested, name):
                return served
        return self.model or requested

    def window(self, requested: str) -> int:
        """Tokens that a prompt for a requested model may have."""
        for name, tokens in self.context_windows:
            if fnmatch.fnmatchcase(requested, name):
                return tokens
        return self.context_window


def allowed_mode(mode: str, environ: Mapping[str, str] = os.environ) -> str:
    """The mode in which a cassette may be used: `none` where the variable CI is set."""
    return mode if environ.get("CI", "").lower() in ("", "0", "false") else "none"
