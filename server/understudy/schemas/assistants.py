"""Assistants: a model, instructions and tools."""

from typing import Annotated, Literal

from pydantic import Field

from understudy.schemas.base import JSON, Body, Deleted, Metadata, Object, Shape, ShownAsOne, metadata_field
from understudy.schemas.tools import (
    ResponseFormat,
    ResponseFormatEcho,
    Tool,
    ToolEcho,
    ToolResources,
    ToolResourcesEcho,
)

ReasoningEffort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
Temperature = Annotated[float, Field(ge=0.0, le=2.0)]
TopP = Annotated[float, Field(ge=0.0, le=1.0)]


class AssistantUpdate(Body):
    """The body of modifyAssistant: what is absent stays."""

    model: str | None = None
    name: Annotated[str | None, Field(max_length=256)] = None
    description: Annotated[str | None, Field(max_length=512)] = None
    instructions: Annotated[str | None, Field(max_length=256_000)] = None
    reasoning_effort: ReasoningEffort | None = None
    tools: Annotated[list[Tool] | None, Field(max_length=128)] = None
    tool_resources: ToolResources | None = None
    metadata: Metadata | None = None
    temperature: Temperature | None = None
    top_p: TopP | None = None
    response_format: ResponseFormat | None = None


class AssistantCreate(AssistantUpdate):
    """The body of createAssistant; `id` chooses a free id (ours, not the hosted API's)."""

    id: str | None = None
    model: str


class Assistant(Object):
    """An assistant, fields in the recorded order."""

    id: str
    object: Literal["assistant"] = "assistant"
    created_at: int
    name: str | None
    description: str | None
    model: str
    instructions: str | None
    tools: Annotated[list[JSON], Shape(list[ToolEcho])]
    top_p: ShownAsOne
    temperature: ShownAsOne
    reasoning_effort: Annotated[str | None, Shape(ReasoningEffort | None)]
    tool_resources: Annotated[JSON, Shape(ToolResourcesEcho)]
    metadata: dict[str, str] = metadata_field()
    response_format: Annotated[JSON | str | None, Shape(ResponseFormatEcho)]


class AssistantDeleted(Deleted):
    """What deleteAssistant answers."""

    object: Literal["assistant.deleted"] = "assistant.deleted"
