"""The command `understudy`. Exit codes: 0, 2 for a usage error, 1 otherwise with one line that says what to do."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from understudy import __version__
from understudy.configuration import add_flags, load
from understudy.settings import Settings, StartError, UsageError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the process's exit code."""
    options = vars(_parser().parse_args(arguments))
    command = _COMMANDS[options.pop("command")]
    try:
        return command(load(options), options) or 0
    except UsageError as error:
        print(f"understudy: {error}", file=sys.stderr)
        return 2
    except StartError as error:
        print(f"understudy: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="understudy", description="A stand-in for the OpenAI Assistants API v2.")
    parser.add_argument("--version", action="version", version=f"understudy {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    add_flags(commands.add_parser("serve", help="run the server"))
    add_flags(commands.add_parser("record", help="run the server and record the upstream's answers in a cassette"))
    demo = commands.add_parser("demo", help="play a data analyst on a server of its own")
    demo.add_argument("--output", default="demo-output", metavar="DIR", help="where the chart goes")
    add_flags(demo)
    test = commands.add_parser("test", help="run a command, such as your tests, with a server in test mode beside it")
    test.add_argument("--port-file", type=Path, metavar="FILE", help="file that gets the port once it listens")
    test.add_argument("--fd", type=int, metavar="FD", help="inherited socket to listen on, until standard input ends")
    add_flags(test)
    test.set_defaults(test_api="true")
    test.add_argument("test_command", nargs=argparse.REMAINDER, metavar="-- COMMAND", help="nothing: serve")
    add_flags(commands.add_parser("doctor", help="say what this machine has and what it lacks"))
    model = commands.add_parser("model", help="the embedding model of file search")
    build = model.add_subparsers(dest="model_command", required=True, metavar="COMMAND").add_parser(
        "build", help="download its weights and build its file, once"
    )
    build.add_argument("--force", action="store_true", help="also where there is one")
    add_flags(commands.add_parser("reindex", help="embed the vector stores again that another model has embedded"))
    evaluation = commands.add_parser("eval", help="measure how file search ranks on documents of your own")
    evaluation.add_argument(
        "folder", metavar="FOLDER", help="corpus.jsonl, queries.jsonl and qrels.tsv (BEIR's layout)"
    )
    add_flags(evaluation)
    check = commands.add_parser("check", help="find what is wrong in scripts")
    what = check.add_mutually_exclusive_group(required=True)
    what.add_argument("files", nargs="*", default=[], metavar="FILE", help="YAML or JSON script")
    what.add_argument("--schema", action="store_true", help="print the JSON Schema of scripts, for editors")
    _add_script(commands.add_parser("script", help="write scripts"))
    return parser


def _add_script(parser: argparse.ArgumentParser) -> None:
    written = parser.add_subparsers(dest="script_command", required=True, metavar="COMMAND")
    thread = written.add_parser("from-thread", help="write a script of what happened in a thread")
    thread.add_argument("thread", metavar="ID", help="thread_…")
    thread.add_argument("--base-url", metavar="URL", help="of the server (default OPENAI_BASE_URL, or the local one)")
    thread.add_argument("--api-key", dest="key", metavar="KEY", help="key for it (default OPENAI_API_KEY)")
    thread.add_argument("--canned", action="store_true", help="show the outputs that code had, do not run it again")


def _serve(settings: Settings, _options: dict[str, object]) -> None:
    from understudy.serve import serve

    serve(settings)


def _test(settings: Settings, options: dict[str, Any]) -> int:
    from understudy.rehearsal import rehearse

    return rehearse(settings, options)


def _record(settings: Settings, options: dict[str, Any]) -> None:
    from understudy.serve import serve

    if settings.cassette is None or settings.upstream is None:
        raise UsageError("record needs --cassette FILE and --upstream URL")
    # Its mode is a flag's or none: a variable that serves tests is no order to record.
    mode = str(options["cassette_mode"] or "new")
    if mode == "none":
        raise UsageError("--mode none records nothing: understudy serve replays")
    serve(replace(settings, cassette_mode=mode))


def _demo(settings: Settings, options: dict[str, object]) -> None:
    from understudy.demo import demo

    demo(settings, Path(str(options["output"])))


def _doctor(settings: Settings, _options: dict[str, object]) -> None:
    from understudy.doctor import doctor

    doctor(settings)


def _model(_settings: Settings, options: dict[str, object]) -> None:
    from understudy.model import build

    build(force=bool(options["force"]))


def _reindex(settings: Settings, _options: dict[str, object]) -> None:
    from understudy.reindex import reindex

    reindex(settings)


def _eval(settings: Settings, options: dict[str, object]) -> None:
    from understudy.evaluate import evaluate

    evaluate(settings, Path(str(options["folder"])))


def _check(_settings: Settings, options: dict[str, Any]) -> None:
    from understudy.check import check, print_schema

    if options["schema"]:
        print_schema()
    else:
        check([Path(file) for file in options["files"]])


def _script(settings: Settings, options: dict[str, Any]) -> None:
    from understudy.thread_script import print_script

    base_url = options["base_url"] or os.environ.get("OPENAI_BASE_URL") or f"http://127.0.0.1:{settings.port}/v1"
    key = options["key"] or os.environ.get("OPENAI_API_KEY") or "none"
    print_script(options["thread"], base_url.rstrip("/"), key, canned=options["canned"])


_COMMANDS: dict[str, Callable[[Settings, dict[str, Any]], int | None]] = {
    "serve": _serve,
    "test": _test,
    "record": _record,
    "demo": _demo,
    "doctor": _doctor,
    "model": _model,
    "reindex": _reindex,
    "eval": _eval,
    "check": _check,
    "script": _script,
}
