"""The database's tables. Lists order by `seq`, as `created_at` has whole seconds only."""

from collections.abc import Callable
from functools import cache
from typing import Any, cast

from sqlalchemy import JSON as JSON_TYPE
from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, String, UniqueConstraint, text
from sqlalchemy.orm.attributes import instance_dict
from sqlmodel import Field, SQLModel

JSON = dict[str, Any]
ACTIVE = ("queued", "in_progress", "requires_action", "cancelling")
ACTIVE_RUN = text(f"status IN ({', '.join(repr(status) for status in ACTIVE)})")
_WAITING_FILE = text("status = 'in_progress'")


def _seq() -> Any:
    # SQLite autoincrements INTEGER keys only. Never reused, so that a cursor keeps its place.
    return Field(default=None, sa_column=Column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True))


def _json(default: Any = None) -> Any:
    column = Column(JSON_TYPE(none_as_null=True), nullable=default is None)
    return Field(default_factory=default, sa_column=column) if default else Field(default=None, sa_column=column)


def _metadata() -> Any:
    return Field(default_factory=dict, sa_column=Column("metadata", JSON_TYPE(none_as_null=True), nullable=False))


def _thread_id() -> Any:
    reference = ForeignKey("threads.id", ondelete="CASCADE")
    return Field(sa_column=Column(String, reference, nullable=False, index=True))


class Row(SQLModel):
    """What all tables have."""

    def __init__(self, **values: Any) -> None:
        plain, factories = _defaults(type(self))
        # An INSERT takes what stands in the instance's dictionary. SQLModel's constructor sets each value twice and
        # looks at the signatures of the factories: 0.1 ms a row.
        instance_dict(self).update(plain | {name: make() for name, make in factories.items()} | values)


@cache
def _defaults(table: type[Row]) -> tuple[JSON, dict[str, Callable[[], Any]]]:
    """The defaults that rows can share, and what makes the others."""
    optional = {name: field for name, field in table.model_fields.items() if not field.is_required()}
    factories = {
        name: cast("Callable[[], Any]", one.default_factory) for name, one in optional.items() if one.default_factory
    }
    return {name: one.default for name, one in optional.items() if name not in factories}, factories


class Assistant(Row, table=True):
    """See schemas/assistants.py."""

    __tablename__ = "assistants"
    __table_args__ = {"sqlite_autoincrement": True}

    seq: int | None = _seq()
    id: str = Field(unique=True)
    created_at: int
    name: str | None = None
    description: str | None = None
    model: str
    instructions: str | None = None
    tools: list[JSON] = _json(list)
    tool_resources: JSON = _json(dict)
    metadata_: dict[str, str] = _metadata()
    temperature: float | None = None
    top_p: float | None = None
    reasoning_effort: str | None = None
    response_format: Any = _json(lambda: "auto")


class Thread(Row, table=True):
    """See schemas/threads.py."""

    __tablename__ = "threads"
    __table_args__ = {"sqlite_autoincrement": True}

    seq: int | None = _seq()
    id: str = Field(unique=True)
    created_at: int
    metadata_: dict[str, str] = _metadata()
    tool_resources: JSON = _json(dict)


class Message(Row, table=True):
    """See schemas/messages.py."""

    __tablename__ = "messages"
    __table_args__ = {"sqlite_autoincrement": True}

    seq: int | None = _seq()
    id: str = Field(unique=True)
    created_at: int
    thread_id: str = _thread_id()
    assistant_id: str | None = None
    run_id: str | None = Field(default=None, index=True)
    role: str
    status: str = "completed"
    content: list[JSON] = _json(list)
    attachments: list[JSON] = _json(list)
    metadata_: dict[str, str] = _metadata()
    completed_at: int | None = None
    incomplete_at: int | None = None
    incomplete_details: JSON | None = _json()


class Run(Row, table=True):
    """See schemas/runs.py. `usage` counts while the run goes on and is shown once it has ended.

    `position` is the chat model's own note of where it stands in the run.
    """

    __tablename__ = "runs"
    __table_args__ = (
        # The thread lock: at most one run of a thread is active, whoever asks at the same moment.
        Index(
            "one_active_run_per_thread",
            "thread_id",
            unique=True,
            sqlite_where=ACTIVE_RUN,
            postgresql_where=ACTIVE_RUN,
        ),
        {"sqlite_autoincrement": True},
    )

    seq: int | None = _seq()
    id: str = Field(unique=True)
    created_at: int
    thread_id: str = _thread_id()
    assistant_id: str
    status: str = Field(default="queued", index=True)
    started_at: int | None = None
    expires_at: int | None = None
    cancelled_at: int | None = None
    failed_at: int | None = None
    completed_at: int | None = None
    required_action: JSON | None = _json()
    last_error: JSON | None = _json()
    model: str
    instructions: str | None = None
    tools: list[JSON] = _json(list)
    tool_resources: JSON = _json(dict)
    metadata_: dict[str, str] = _metadata()
    temperature: float | None = None
    top_p: float | None = None
    reasoning_effort: str | None = None
    max_completion_tokens: int | None = None
    max_prompt_tokens: int | None = None
    truncation_strategy: JSON = _json(dict)
    incomplete_details: JSON | None = _json()
    usage: JSON | None = _json()
    response_format: Any = _json(lambda: "auto")
    tool_choice: Any = _json(lambda: "auto")
    parallel_tool_calls: bool = True
    position: JSON | None = _json()


class RunStep(Row, table=True):
    """See schemas/run_steps.py."""

    __tablename__ = "run_steps"
    __table_args__ = {"sqlite_autoincrement": True}

    seq: int | None = _seq()
    id: str = Field(unique=True)
    created_at: int
    run_id: str = Field(index=True)
    assistant_id: str
    thread_id: str = _thread_id()
    type: str
    status: str = "in_progress"
    cancelled_at: int | None = None
    completed_at: int | None = None
    expired_at: int | None = None
    expires_at: int | None = None
    failed_at: int | None = None
    last_error: JSON | None = _json()
    step_details: JSON = _json(dict)
    usage: JSON | None = _json()
    metadata_: dict[str, str] = _metadata()


class File(Row, table=True):
    """See schemas/files.py. The content lies in the file storage under the id."""

    __tablename__ = "files"
    __table_args__ = {"sqlite_autoincrement": True}

    seq: int | None = _seq()
    id: str = Field(unique=True)
    created_at: int
    purpose: str
    filename: str
    bytes: int = Field(sa_column=Column(BigInteger, nullable=False))
    expires_at: int | None = Field(default=None, index=True)
    status: str = "processed"
    status_details: str | None = None


class Upload(Row, table=True):
    """See schemas/uploads.py. `expires_after` is the file's that it becomes, `expires_at` its own."""

    __tablename__ = "uploads"
    __table_args__ = (Index("uploads_due", "status", "expires_at"), {"sqlite_autoincrement": True})

    seq: int | None = _seq()
    id: str = Field(unique=True)
    created_at: int
    expires_at: int
    filename: str
    purpose: str
    bytes: int = Field(sa_column=Column(BigInteger, nullable=False))
    expires_after: JSON | None = _json()
    status: str = "pending"


class UploadPart(Row, table=True):
    """A part of a pending upload. The content lies in the file storage under the id."""

    __tablename__ = "upload_parts"

    id: str = Field(primary_key=True)
    upload_id: str = Field(
        sa_column=Column(String, ForeignKey("uploads.id", ondelete="CASCADE"), nullable=False, index=True)
    )
    created_at: int
    bytes: int


class VectorStore(Row, table=True):
    """See schemas/vector_stores.py. Its files are counted, whenever it is shown.

    `expires_at` moves with `last_active_at`. The sweeper makes `status` expired once that time has come.
    """

    __tablename__ = "vector_stores"
    __table_args__ = {"sqlite_autoincrement": True}

    seq: int | None = _seq()
    id: str = Field(unique=True)
    created_at: int
    name: str | None = None
    description: str | None = None
    expires_after: JSON | None = _json()
    expires_at: int | None = Field(default=None, index=True)
    last_active_at: int
    status: str = "completed"
    metadata_: dict[str, str] = _metadata()


class VectorStoreFile(Row, table=True):
    """See schemas/vector_store_files.py. `id` is the file's; `seq`, never reused, is what retrieval knows it by."""

    __tablename__ = "vector_store_files"
    __table_args__ = (
        UniqueConstraint("vector_store_id", "id"),
        # Counts and usage are sums over this index alone.
        Index("vector_store_files_counted", "vector_store_id", "status", "usage_bytes"),
        Index("vector_store_files_waiting", "seq", sqlite_where=_WAITING_FILE, postgresql_where=_WAITING_FILE),
        {"sqlite_autoincrement": True},
    )

    seq: int | None = _seq()
    id: str = Field(index=True)
    created_at: int
    vector_store_id: str = Field(
        sa_column=Column(String, ForeignKey("vector_stores.id", ondelete="CASCADE"), nullable=False)
    )
    status: str = "in_progress"
    last_error: JSON | None = _json()
    usage_bytes: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    max_chunk_size_tokens: int
    chunk_overlap_tokens: int
    attributes: JSON = _json(dict)


class FileBatch(Row, table=True):
    """See schemas/file_batches.py. Its files name it; what became of them is counted."""

    __tablename__ = "file_batches"
    __table_args__ = {"sqlite_autoincrement": True}

    seq: int | None = _seq()
    id: str = Field(unique=True)
    created_at: int
    vector_store_id: str = Field(
        sa_column=Column(String, ForeignKey("vector_stores.id", ondelete="CASCADE"), nullable=False, index=True)
    )
    cancelled: bool = False


class FileBatchFile(Row, table=True):
    """A file that a batch put into its store. What has become of it is told by the store's row."""

    __tablename__ = "file_batch_files"

    batch_id: str = Field(sa_column=Column(String, ForeignKey("file_batches.id", ondelete="CASCADE"), primary_key=True))
    file_id: str = Field(primary_key=True)


class Tombstone(Row, table=True):
    """Where a deleted object stood in its list, so that a cursor that names it still works.

    `for item in client….list(): client….delete(item.id)` asks for the page after an object that is gone.
    """

    __tablename__ = "tombstones"

    id: str = Field(primary_key=True)
    seq: int = Field(sa_column=Column(BigInteger, nullable=False))
    deleted_at: int = Field(index=True)
