"""Messages: what user and assistant said in a thread."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from understudy.schemas.base import JSON, Body, Id, Metadata, Object, metadata_field
from understudy.schemas.tools import AttachmentTool

Detail = Literal["auto", "low", "high"]


class ImageFile(Body):
    """An uploaded image."""

    file_id: Id
    detail: Detail | None = None


class ImageURL(Body):
    """An image on the web, or a data URL."""

    url: str
    detail: Detail | None = None


class TextPart(Body):
    """A text part of a new message."""

    type: Literal["text"]
    text: str


class ImageFilePart(Body):
    """An image part that names a file."""

    type: Literal["image_file"]
    image_file: ImageFile


class ImageURLPart(Body):
    """An image part that names a URL."""

    type: Literal["image_url"]
    image_url: ImageURL


Part = Annotated[TextPart | ImageFilePart | ImageURLPart, Field(discriminator="type")]


def _kind(value: Any) -> str:
    return "parts" if isinstance(value, list) else "text"


Content = Annotated[
    Annotated[str, Tag("text")] | Annotated[list[Part], Field(min_length=1), Tag("parts")],
    Discriminator(_kind),
]


class Attachment(Body):
    """A file, and the tools that it is for."""

    file_id: Id
    tools: list[AttachmentTool]


class MessageCreate(Body):
    """The body of createMessage, and the messages inside other bodies."""

    role: Literal["user", "assistant"]
    content: Content
    attachments: list[Attachment] | None = None
    metadata: Metadata | None = None


class MessageUpdate(Body):
    """The body of modifyMessage."""

    metadata: Metadata | None = None


class Message(Object):
    """A message: the recorded fields in their order, then those that only streams had [R]."""

    id: str
    object: Literal["thread.message"] = "thread.message"
    created_at: int
    assistant_id: str | None
    thread_id: str
    run_id: str | None
    status: Literal["in_progress", "incomplete", "completed"]
    incomplete_details: JSON | None
    incomplete_at: int | None
    completed_at: int | None
    role: Literal["user", "assistant"]
    content: list[JSON]
    attachments: list[JSON] | None
    metadata: dict[str, str] = metadata_field()


def text_block(value: str) -> JSON:
    """A text part as messages hold it."""
    return {"type": "text", "text": {"value": value, "annotations": []}}


def content_blocks(content: str | list[Any]) -> list[JSON]:
    """The parts of a new message as they are stored: text with annotations, images with their detail."""
    if isinstance(content, str):
        return [text_block(content)]
    blocks = []
    for part in content:
        match part:
            case TextPart():
                blocks.append(text_block(part.text))
            case ImageFilePart():
                image = {"file_id": part.image_file.file_id, "detail": part.image_file.detail or "auto"}
                blocks.append({"type": "image_file", "image_file": image})
            case ImageURLPart():
                url = {"url": part.image_url.url, "detail": part.image_url.detail or "auto"}
                blocks.append({"type": "image_url", "image_url": url})
    return blocks
