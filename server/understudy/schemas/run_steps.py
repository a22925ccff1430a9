"""Run steps: the messages and tool calls that a run consists of."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from understudy.schemas.base import JSON, ListParams, Object, metadata_field

Include = Literal["step_details.tool_calls[*].file_search.results[*].content"]
"""The only value of `include[]`."""


class ListStepsParams(ListParams):
    """The query parameters of listRunSteps."""

    include: Annotated[list[Include] | None, Field(alias="include[]")] = None


class RunStep(Object):
    """A run step, the recorded fields in their order, then those of the document that were never sent."""

    id: str
    object: Literal["thread.run.step"] = "thread.run.step"
    created_at: int
    run_id: str
    assistant_id: str
    thread_id: str
    type: Literal["message_creation", "tool_calls"]
    status: Literal["in_progress", "cancelled", "failed", "completed", "expired"]
    cancelled_at: int | None
    completed_at: int | None
    expired_at: int | None
    expires_at: int | None
    failed_at: int | None
    last_error: JSON | None
    step_details: JSON
    usage: JSON | None
    metadata: dict[str, str] = metadata_field()

    _with_content: ClassVar[bool] = False

    @model_validator(mode="after")
    def _as_on_the_wire(self) -> "RunStep":
        """`usage` shows once the step has ended, `expires_at` until then."""
        if self.status == "in_progress":
            self.usage = None
        else:
            self.expires_at = None
        if self.type == "tool_calls":
            calls = [_shown(call, with_content=self._with_content) for call in self.step_details["tool_calls"]]
            self.step_details = {"type": "tool_calls", "tool_calls": calls}
        return self


class RunStepWithContent(RunStep):
    """A run step that shows the text of what file search found, as `include[]` asks for."""

    _with_content: ClassVar[bool] = True


def run_step(include: list[Include] | None) -> type[RunStep]:
    """What a run step looks like with this `include[]`."""
    return RunStepWithContent if include else RunStep


def _shown(call: JSON, *, with_content: bool) -> JSON:
    """A tool call without what the row keeps for the model."""
    if call["type"] != "file_search":
        return call
    results: list[dict[str, Any]] = call["file_search"]["results"]
    if not with_content:
        results = [{name: value for name, value in result.items() if name != "content"} for result in results]
    search = {"ranking_options": call["file_search"]["ranking_options"], "results": results}
    return call | {"file_search": search}
