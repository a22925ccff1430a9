"""Threads: a conversation."""

from typing import Annotated, Literal

from understudy.schemas.base import JSON, Body, Deleted, Metadata, Object, Shape, metadata_field
from understudy.schemas.messages import MessageCreate
from understudy.schemas.tools import ToolResources, ToolResourcesEcho


class ThreadUpdate(Body):
    """The body of modifyThread."""

    tool_resources: ToolResources | None = None
    metadata: Metadata | None = None


class ThreadCreate(ThreadUpdate):
    """The body of createThread, which may be empty; `id` chooses a free id (ours, not the hosted API's)."""

    id: str | None = None
    messages: list[MessageCreate] | None = None


class Thread(Object):
    """A thread, fields in the recorded order."""

    id: str
    object: Literal["thread"] = "thread"
    created_at: int
    metadata: dict[str, str] = metadata_field()
    tool_resources: Annotated[JSON, Shape(ToolResourcesEcho)]


class ThreadDeleted(Deleted):
    """What deleteThread answers."""

    object: Literal["thread.deleted"] = "thread.deleted"
