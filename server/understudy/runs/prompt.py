"""From a thread to a prompt [S, D]: instructions, messages, this run's tool calls, all within a budget."""

import base64
from dataclasses import dataclass, field
from pathlib import PurePath

from sqlalchemy import bindparam, or_, select
from sqlalchemy.orm import Session

from understudy import tables
from understudy.crud import find, get_or_404
from understudy.file_storage import FileStorage
from understudy.runs import citations
from understudy.runs.citations import Place
from understudy.runs.file_search import SearchedStores, searched_stores
from understudy.runs.tool_calls import replayed
from understudy.runs.tools import OfferedTools
from understudy.schemas.base import JSON
from understudy_sandbox import plain_name

_IMAGE_TYPES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gif": "image/gif",
    ".webp": "image/webp",
}
_SAID_BEFORE = (
    select(tables.Message)
    .where(
        tables.Message.thread_id == bindparam("thread_id"),
        or_(tables.Message.run_id.is_(None), tables.Message.run_id != bindparam("run_id")),
    )
    .order_by(tables.Message.seq)
)
_STEPS = select(tables.RunStep).where(tables.RunStep.run_id == bindparam("run_id")).order_by(tables.RunStep.seq)
_DELETED_IMAGE = {"type": "text", "text": "[an image that was deleted]"}
_IMAGE_TOKENS = 300
_MESSAGE_TOKENS = 4


@dataclass(slots=True)
class Prompt:
    """What one model call is made of."""

    run: tables.Run
    tools: OfferedTools
    code_files: dict[str, str]
    """Ids of the files at the code interpreter's hand, by their name in /mnt/data."""
    instructions: list[JSON]
    history: list[JSON]
    """The thread's messages from before this run, oldest first."""
    progress: list[JSON] = field(default_factory=list)
    """What this run has said and called so far."""
    rounds: int = 0
    images: list[str] = field(default_factory=list)
    """Ids of the images that the code has drawn since the run's last message."""
    call_ids: set[str] = field(default_factory=set)
    stores: SearchedStores = field(default_factory=SearchedStores)
    sources: dict[Place, str] = field(default_factory=dict)
    """Ids of the files that this run's searches found passages in, by the marks that the model was told."""
    next_search: int = 0
    """The number of the run's next search, the first part of its marks."""
    assistant_name: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    """The run's, over the thread's, over the assistant's."""

    def messages(self) -> list[JSON]:
        """The prompt as Chat Completions messages."""
        return self.instructions + self.history + self.progress

    def tokens(self) -> int:
        """An estimate: four bytes of text are a token."""
        return sum(map(estimate_tokens, self.messages())) + sum(map(estimate_tokens, self.tools.definitions))

    def truncate(self, limit: int) -> bool:
        """Apply the run's truncation strategy for at most `limit` tokens; whether that could be done.

        `auto` drops messages from the middle of the thread: the oldest ones after the first.
        """
        strategy = self.run.truncation_strategy
        if strategy["type"] == "last_messages":
            self.history = self.history[-strategy["last_messages"] :]
        size = self.tokens()
        first, dropped = self.history[:1], 1
        while size > limit and dropped < len(self.history) - 1:
            size -= estimate_tokens(self.history[dropped])
            dropped += 1
        if size > limit and len(self.history) > 1:
            size -= estimate_tokens(first.pop())
        if dropped > 1 or not first:
            self.history = first + self.history[dropped:]
        return size <= limit


def estimate_tokens(message: JSON) -> int:
    """Tokens of a message or a tool's definition, about."""
    content = message.get("content")
    if not isinstance(content, list):
        return _MESSAGE_TOKENS + len(str(content or message).encode()) // 4
    return _MESSAGE_TOKENS + sum(
        len(part["text"].encode()) // 4 if part["type"] == "text" else _IMAGE_TOKENS for part in content
    )


def build(session: Session, run_id: str, storage: FileStorage) -> Prompt:
    """The prompt of a run's next model call.

    Raises NotFoundError where run or thread are gone, VectorStoreExpiredError where a store to search is expired.
    """
    run = get_or_404(session, tables.Run, run_id)
    thread = get_or_404(session, tables.Thread, run.thread_id)
    assistant = find(session, tables.Assistant, run.assistant_id)
    tools = OfferedTools.of(run.tools, run.model)
    code_files = _code_files(session, run, assistant, thread) if tools.code_interpreter else {}
    history = _history(session, run, storage)
    prompt = Prompt(run, tools, code_files, _instructions(run, code_files), history)
    prompt.assistant_name = assistant.name if assistant else None
    prompt.metadata = (assistant.metadata_ if assistant else {}) | thread.metadata_ | run.metadata_
    if tools.file_search:
        prompt.stores = searched_stores(session, run)
        prompt.next_search = citations.first_number(history)
    _replay(session, prompt)
    return prompt


def _instructions(run: tables.Run, code_files: dict[str, str]) -> list[JSON]:
    texts = [run.instructions] if run.instructions else []
    if code_files:
        texts.append("Files in /mnt/data: " + ", ".join(code_files))
    return [{"role": "system", "content": "\n\n".join(texts)}] if texts else []


def _code_files(
    session: Session, run: tables.Run, assistant: tables.Assistant | None, thread: tables.Thread
) -> dict[str, str]:
    owners = (run if "code_interpreter" in run.tool_resources or assistant is None else assistant, thread)
    ids = [
        file_id for owner in owners for file_id in owner.tool_resources.get("code_interpreter", {}).get("file_ids", [])
    ]
    found = session.scalars(select(tables.File).where(tables.File.id.in_(ids))).all()
    names: dict[str, str] = {}
    for file in sorted(found, key=lambda file: ids.index(file.id)):
        names[_free_name(file.filename, names)] = file.id
    return names


def _free_name(filename: str, taken: dict[str, str]) -> str:
    """The file's own name, or for the second of a name one with a number."""
    plain = plain_name(filename)
    free, number = plain, 2
    while free in taken:
        path = PurePath(plain)
        free, number = f"{path.stem}_{number}{path.suffix}", number + 1
    return free


def _history(session: Session, run: tables.Run, storage: FileStorage) -> list[JSON]:
    rows = session.scalars(_SAID_BEFORE, {"thread_id": run.thread_id, "run_id": run.id})
    messages = (_chat_message(session, row, storage) for row in rows)
    return [message for message in messages if message["content"]]


def _chat_message(session: Session, message: tables.Message, storage: FileStorage) -> JSON:
    parts = [_part(session, block, message.role, storage) for block in message.content]
    if all(part["type"] == "text" for part in parts):
        # One string: servers of older models know no lists of parts.
        return {"role": message.role, "content": "\n".join(part["text"] for part in parts)}
    return {"role": message.role, "content": parts}


def _part(session: Session, block: JSON, role: str, storage: FileStorage) -> JSON:
    match block["type"]:
        case "text":
            return {"type": "text", "text": block["text"]["value"]}
        case "refusal":
            return {"type": "text", "text": block["refusal"]}
        case _ if role == "assistant":
            # Chat Completions takes no images from an assistant.
            return {"type": "text", "text": "[an image that you showed the user]"}
        case "image_url":
            return {"type": "image_url", "image_url": block["image_url"]}
    return _uploaded_image(session, block["image_file"], storage)


def _uploaded_image(session: Session, image: JSON, storage: FileStorage) -> JSON:
    file = find(session, tables.File, image["file_id"])
    if file is None:
        return _DELETED_IMAGE
    media_type = _IMAGE_TYPES.get(PurePath(file.filename).suffix.lower())
    if media_type is None:
        return {"type": "text", "text": f"[{file.filename}: not an image that a model can see]"}
    try:
        content = base64.b64encode(storage.path(file.id).read_bytes()).decode()
    except FileNotFoundError:
        return _DELETED_IMAGE
    url = {"url": f"data:{media_type};base64,{content}", "detail": image.get("detail", "auto")}
    return {"type": "image_url", "image_url": url}


def _replay(session: Session, prompt: Prompt) -> None:
    for step in session.scalars(_STEPS, {"run_id": prompt.run.id}):
        if step.type == "message_creation":
            message_id = step.step_details["message_creation"]["message_id"]
            message = find(session, tables.Message, message_id)
            prompt.images = []
            if message is not None:
                prompt.progress.append({"role": "assistant", "content": _spoken(message)})
        elif step.status == "completed":
            prompt.rounds += 1
            calls, *answers = replayed(step.step_details, prompt.tools)
            if prompt.progress and prompt.progress[-1]["role"] == "assistant":
                # Text and calls of one turn are one message: some servers refuse two assistants in a row.
                calls["content"] = prompt.progress.pop()["content"]
            prompt.progress += [calls, *answers]
            prompt.call_ids.update(call["id"] for call in calls["tool_calls"])
            prompt.images += _images(step.step_details)
            _note_searches(prompt, step.step_details)


def _note_searches(prompt: Prompt, step_details: JSON) -> None:
    for call in step_details["tool_calls"]:
        if call["type"] == "file_search":
            prompt.sources |= citations.sources(call["file_search"])
            prompt.next_search = max(prompt.next_search, call["file_search"]["number"] + 1)


def _spoken(message: tables.Message) -> str:
    return "\n".join(block["text"]["value"] for block in message.content if block["type"] == "text")


def _images(step_details: JSON) -> list[str]:
    return [
        output["image"]["file_id"]
        for call in step_details["tool_calls"]
        if call["type"] == "code_interpreter"
        for output in call["code_interpreter"]["outputs"]
        if output["type"] == "image"
    ]
