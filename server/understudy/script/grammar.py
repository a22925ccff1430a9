"""What may stand in a script: the one definition, for the reader, the editors' JSON Schema and the docs."""

import ast
import inspect
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, PrivateAttr, Tag, model_validator

from understudy.chat_models.base import ErrorCode
from understudy.script.pattern import Pattern

OnMiss = Literal["fail", "offline", "upstream", "auto"]
_FUNCTION_NAME = r"^[a-zA-Z0-9_-]{1,64}$"
_ACTIONS = ("reply", "refuse", "call", "python", "search", "fail")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, arbitrary_types_allowed=True, frozen=True)
    _place: tuple[int, int] = PrivateAttr((1, 1))

    @property
    def place(self) -> tuple[int, int]:
        """Line and column where it begins in the script's text, counted from 1."""
        return self._place

    @property
    def line(self) -> int:
        """The line alone."""
        return self._place[0]

    def put(self, place: tuple[int, int]) -> None:
        """Say where it begins."""
        self._place = place


def _kind(value: Any) -> str:
    return "a mapping" if isinstance(value, dict) else "plain"


def _number(value: Any) -> str:
    return "a list" if isinstance(value, list) else "one"


def _named(arguments: dict[str, Any]) -> dict[str, Any]:
    if not arguments:
        raise ValueError("expected the name of a function")
    return arguments


# Tags tell which of two shapes is meant, so that an error is about that one.
P = TypeVar("P")
M = TypeVar("M")
T = TypeVar("T")
PlainOr = Annotated[Annotated[P, Tag("plain")] | Annotated[M, Tag("a mapping")], Discriminator(_kind)]
OneOrMore = Annotated[
    Annotated[T, Tag("one")] | Annotated[list[T], Tag("a list"), Field(min_length=1)], Discriminator(_number)
]

Name = Annotated[str, Field(pattern=_FUNCTION_NAME)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Calls = Annotated[dict[Name, PlainOr[str | None, dict[str, Any]]], AfterValidator(_named)]


class When(_Part):
    """Conditions, which all have to hold."""

    user: Pattern | None = None
    """In the text of the last user message: plain text (in any case) or /a regular expression/."""
    assistant: Pattern | None = None
    """The assistant's name or id: all of it, or /a regular expression/."""
    model: Pattern | None = None
    """The model's name: all of it, or /a regular expression/."""
    tools: Annotated[list[str], Field(min_length=1)] | None = None
    """Tools that the run offers, all of these: names of functions, code_interpreter, file_search."""
    metadata: Annotated[dict[str, Pattern], Field(min_length=1)] | None = None
    """Metadata of the run, or else of its thread, or else of its assistant."""

    def patterns(self) -> Iterator[Pattern]:
        """All there are."""
        yield from filter(None, (self.user, self.assistant, self.model))
        yield from (self.metadata or {}).values()

    def groups(self) -> set[str]:
        """The variables that they make."""
        return {name for pattern in self.patterns() for name in pattern.names()}


class If(When):
    """Conditions of a turn."""

    output: Annotated[dict[str, Pattern], Field(min_length=1)] | None = None
    """In what a tool has answered in this run, by its name: plain text or /a regular expression/."""

    def patterns(self) -> Iterator[Pattern]:
        """All there are."""
        yield from super().patterns()
        yield from (self.output or {}).values()


class CannedCode(_Part):
    """Code that is shown, but not run, with outputs that it would have had."""

    code: str = ""
    """The code."""
    logs: str | None = None
    """What it would have printed."""
    image: OneOrMore[str | Literal[True]] | None = None
    """What it would have drawn: PNG or JPEG files beside the script, data: URLs, or true for a dot."""

    @property
    def images(self) -> Sequence[str | Literal[True]]:
        """What it would have drawn."""
        return _listed(self.image)


class Failure(_Part):
    """How the run fails."""

    code: ErrorCode
    """Of the run's last_error."""
    message: str | None = None
    """Of the run's last_error."""


class Chunk(_Part):
    """How the answer streams."""

    size: Annotated[int, Field(ge=1)]
    """Characters of a piece."""
    every: Seconds = 0
    """Seconds between two pieces."""


class TurnUsage(_Part):
    """Tokens of the model call."""

    prompt_tokens: Annotated[int, Field(ge=0)] = 0
    """Of the prompt."""
    completion_tokens: Annotated[int, Field(ge=0)] = 0
    """Of the answer."""
    cached_tokens: Annotated[int, Field(ge=0)] = 0
    """Those of the prompt that were cached."""
    reasoning_tokens: Annotated[int, Field(ge=0)] = 0
    """Those of the answer that were not shown."""


class Answer(_Part):
    """What the model does in one call: text first, then calls, then it may fail."""

    reply: str | None = None
    """The answer's text."""
    refuse: str | None = None
    """A refusal in the place of an answer."""
    call: OneOrMore[Calls] | None = None
    """Functions to call at once: {name: arguments}, or a list of such where one is called twice.

    Arguments that are a text are sent as they stand.
    """
    python: OneOrMore[PlainOr[str, CannedCode]] | None = None
    """Code that the code interpreter really runs; with logs and image it is shown and not run."""
    search: OneOrMore[str] | None = None
    """A query, or several, with which file search really searches."""
    fail: PlainOr[ErrorCode, Failure] | None = None
    """The run fails, after what else the turn says."""
    delay: Seconds | None = None
    """Seconds before anything comes."""
    chunk: PlainOr[Annotated[int, Field(ge=1)], Chunk] | None = None
    """Characters of each streamed piece, which is a word otherwise; {size, every} adds a pause in seconds."""
    usage: TurnUsage | None = None
    """Tokens that are counted; estimated otherwise."""
    stop: Literal["length", "content_filter"] | None = None
    """Why the answer breaks off."""

    @property
    def calls(self) -> list[tuple[str, dict[str, Any] | str | None]]:
        """The functions to call and their arguments."""
        groups = self.call if isinstance(self.call, list) else [self.call or {}]
        return [pair for group in groups for pair in group.items()]

    @property
    def programs(self) -> Sequence[str | CannedCode]:
        """The code to run or to show."""
        return _listed(self.python)

    @property
    def queries(self) -> Sequence[str]:
        """What to search for, each in a call of its own."""
        return _listed(self.search)

    @property
    def failure(self) -> Failure | None:
        """How the run fails."""
        return Failure(code=self.fail) if isinstance(self.fail, str) else self.fail

    @property
    def pace(self) -> Chunk | None:
        """How the answer streams."""
        return Chunk(size=self.chunk) if isinstance(self.chunk, int) else self.chunk

    @property
    def tools(self) -> list[str]:
        """Every tool that it calls, as often as it does."""
        built_in = ["code_interpreter"] * len(self.programs) + ["file_search"] * len(self.queries)
        return [name for name, _ in self.calls] + built_in

    @property
    def calls_tools(self) -> bool:
        """Whether the run goes on after it."""
        return bool(self.call or self.python or self.search) and self.fail is None and self.stop is None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.reply is not None and self.refuse is not None:
            raise ValueError("reply and refuse exclude each other")
        if self.refuse is not None and (self.call or self.python or self.search):
            raise ValueError("a refusal calls nothing")
        return self


class Turn(Answer):
    """One model call of a run."""

    if_: Annotated[If | None, Field(alias="if")] = None
    """The turn is taken only where this holds; else the next one is looked at."""

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        if all(getattr(self, name) is None for name in _ACTIONS):
            raise ValueError(f"a turn needs one of {', '.join(_ACTIONS)}")
        return self


class Rule(Answer):
    """What happens in a run for which `when` holds. One turn may stand in the rule itself."""

    when: When = When()
    """Conditions, which all have to hold; without any, the rule matches every run."""
    times: Annotated[int, Field(ge=1)] | None = None
    """The rule matches so many runs, and then no more."""
    turns: Annotated[list[Turn], Field(min_length=1)] | None = None
    """The run's model calls in their order."""

    @property
    def steps(self) -> Sequence[Answer]:
        """The turns, the one in the rule itself among them."""
        return self.turns or [self]

    @model_validator(mode="after")
    def _has_turns(self) -> Self:
        own = [name for name in Answer.model_fields if getattr(self, name) is not None]
        if self.turns and own:
            raise ValueError(f"{own[0]} stands beside turns: it belongs into one of them")
        if not self.turns and not set(own) & set(_ACTIONS):
            raise ValueError(f"a rule needs turns, or one of {', '.join(_ACTIONS)}")
        return self


class ScriptFile(_Part):
    """A script of Understudy's model: the first rule that matches a run says what the model does in it."""

    version: Literal[1] = 1
    """Of this format."""
    on_miss: OnMiss = "fail"
    """Who answers where no rule matches; fail: nobody, and the run fails."""
    rules: list[Rule]
    """The first one that matches counts."""


PARTS = (ScriptFile, Rule, Turn, When, If, CannedCode, Failure, Chunk, TurnUsage)


def describe() -> None:
    """Make what stands below a field its description, for who writes about the grammar.

    Pydantic's `use_attribute_docstrings` does so whenever the grammar is imported, which costs each start 0.1 s.
    """
    texts = {
        (part.name, field.target.id): inspect.cleandoc(str(text.value.value))
        for part in ast.parse(Path(__file__).read_text(encoding="utf-8")).body
        if isinstance(part, ast.ClassDef)
        for field, text in itertools.pairwise(part.body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
    }
    # A part is made of those after it.
    for part in reversed(PARTS):
        for name, field in part.model_fields.items():
            field.description = next(text for one in part.__mro__ if (text := texts.get((one.__name__, name))))
        part.model_rebuild(force=True)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]
