"""The events of a run's stream: what an `event:` line names, and the object of its `data:` line."""

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from understudy.schemas.errors import ErrorBody
from understudy.schemas.messages import Message, MessageDelta
from understudy.schemas.run_steps import RunStep, RunStepDelta
from understudy.schemas.runs import Run
from understudy.schemas.threads import Thread


class ThreadEvent(TypedDict):
    """createThreadAndRun made its thread."""

    event: Literal["thread.created"]
    data: Thread


class RunEvent(TypedDict):
    """The run's status changed."""

    event: Literal[
        "thread.run.created",
        "thread.run.queued",
        "thread.run.in_progress",
        "thread.run.requires_action",
        "thread.run.completed",
        "thread.run.incomplete",
        "thread.run.failed",
        "thread.run.cancelling",
        "thread.run.cancelled",
        "thread.run.expired",
    ]
    data: Run


class RunStepEvent(TypedDict):
    """A step began or ended."""

    event: Literal[
        "thread.run.step.created",
        "thread.run.step.in_progress",
        "thread.run.step.completed",
        "thread.run.step.failed",
        "thread.run.step.cancelled",
        "thread.run.step.expired",
    ]
    data: RunStep


class RunStepDeltaEvent(TypedDict):
    """A piece of a step's tool calls arrived."""

    event: Literal["thread.run.step.delta"]
    data: RunStepDelta


class MessageEvent(TypedDict):
    """A message began or ended."""

    event: Literal[
        "thread.message.created",
        "thread.message.in_progress",
        "thread.message.completed",
        "thread.message.incomplete",
    ]
    data: Message


class MessageDeltaEvent(TypedDict):
    """A piece of a message arrived."""

    event: Literal["thread.message.delta"]
    data: MessageDelta


class ErrorEvent(TypedDict):
    """The stream broke off [R2]; nothing follows."""

    event: Literal["error"]
    data: ErrorBody


class DoneEvent(TypedDict):
    """The stream is at its end."""

    event: Literal["done"]
    data: Literal["[DONE]"]


StreamEvent = Annotated[
    ThreadEvent
    | RunEvent
    | RunStepEvent
    | RunStepDeltaEvent
    | MessageEvent
    | MessageDeltaEvent
    | ErrorEvent
    | DoneEvent,
    Field(discriminator="event"),
]
