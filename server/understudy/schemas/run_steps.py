"""Run steps: the messages and tool calls that a run consists of."""

from typing import Literal

from pydantic import model_validator

from understudy.schemas.base import JSON, Object, metadata_field


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

    @model_validator(mode="after")
    def _as_on_the_wire(self) -> "RunStep":
        """`usage` shows once the step has ended, `expires_at` until then."""
        if self.status == "in_progress":
            self.usage = None
        else:
            self.expires_at = None
        return self
