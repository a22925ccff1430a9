"""Messages: what user and assistant said in a thread."""

from typing import Annotated, Any, Literal, NotRequired

from pydantic import Discriminator, Field, Tag
from typing_extensions import TypedDict

from understudy.schemas.base import JSON, Body, Deleted, Id, Metadata, Object, Shape, metadata_field
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


def _kind(value: Any) -> str | None:
    return "parts" if isinstance(value, list) else "text" if isinstance(value, str) else None


Content = Annotated[
    Annotated[str, Tag("text")] | Annotated[list[Part], Field(min_length=1), Tag("parts")],
    Discriminator(_kind, "wrong_type", "one of a string or array of objects"),  # [I]
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


class FileId(TypedDict):
    """The file that an annotation points to."""

    file_id: str


class FileCitation(TypedDict):
    """A mark in the text, and the file that it cites."""

    type: Literal["file_citation"]
    text: str
    start_index: int
    end_index: int
    file_citation: FileId


class FilePath(TypedDict):
    """A link in the text, and the file that the code interpreter wrote."""

    type: Literal["file_path"]
    text: str
    start_index: int
    end_index: int
    file_path: FileId


class Text(TypedDict):
    """Text with its annotations."""

    value: str
    annotations: list[Annotated[FileCitation | FilePath, Field(discriminator="type")]]


class TextBlock(TypedDict):
    """Text of a message."""

    type: Literal["text"]
    text: Text


class RefusalBlock(TypedDict):
    """The model's refusal to answer."""

    type: Literal["refusal"]
    refusal: str


class ImageFileContent(TypedDict):
    """A stored image."""

    file_id: str
    detail: Detail


class ImageFileBlock(TypedDict):
    """A stored image of a message."""

    type: Literal["image_file"]
    image_file: ImageFileContent


class ImageURLContent(TypedDict):
    """An image on the web, or a data URL."""

    url: str
    detail: Detail


class ImageURLBlock(TypedDict):
    """An image of a message that is on the web."""

    type: Literal["image_url"]
    image_url: ImageURLContent


Block = Annotated[TextBlock | RefusalBlock | ImageFileBlock | ImageURLBlock, Field(discriminator="type")]


class IncompleteMessage(TypedDict):
    """Why a message broke off."""

    reason: Literal["content_filter", "max_tokens", "run_cancelled", "run_expired", "run_failed"]


class Message(Object):
    """A message: the recorded fields in their order, then those that only streams had [R]."""

    id: str
    object: Literal["thread.message"] = "thread.message"
    created_at: int
    assistant_id: str | None
    thread_id: str
    run_id: str | None
    status: Literal["in_progress", "incomplete", "completed"]
    incomplete_details: Annotated[JSON | None, Shape(IncompleteMessage | None)]
    incomplete_at: int | None
    completed_at: int | None
    role: Literal["user", "assistant"]
    content: Annotated[list[JSON], Shape(list[Block])]
    attachments: Annotated[list[JSON] | None, Shape(list[Attachment] | None)]
    metadata: dict[str, str] = metadata_field()


class MessageDeleted(Deleted):
    """What deleteMessage answers."""

    object: Literal["thread.message.deleted"] = "thread.message.deleted"


class FileCitationQuote(FileId):
    """The file that is cited; streams have its `quote`, always empty [R]."""

    quote: str


class FileCitationDelta(FileCitation):
    """A citation that arrives, at its place in the text's annotations."""

    index: int
    file_citation: FileCitationQuote  # type: ignore[misc]


class FilePathDelta(FilePath):
    """A link that arrives, at its place in the text's annotations."""

    index: int


class TextPiece(TypedDict):
    """A piece of text; the first has `annotations`, later ones where they bring some [R]."""

    value: str
    annotations: NotRequired[list[Annotated[FileCitationDelta | FilePathDelta, Field(discriminator="type")]]]


class TextDelta(TypedDict):
    """A piece of a text block."""

    index: int
    type: Literal["text"]
    text: TextPiece


class RefusalDelta(TypedDict):
    """A piece of a refusal."""

    index: int
    type: Literal["refusal"]
    refusal: str


class ImageFileDelta(TypedDict):
    """A stored image that arrives."""

    index: int
    type: Literal["image_file"]
    image_file: FileId


class MessageDeltaContent(TypedDict):
    """What is added to the message's content."""

    content: list[Annotated[TextDelta | RefusalDelta | ImageFileDelta, Field(discriminator="type")]]


class MessageDelta(TypedDict):
    """A piece of a message, as a stream brings it."""

    id: str
    object: Literal["thread.message.delta"]
    delta: MessageDeltaContent


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
