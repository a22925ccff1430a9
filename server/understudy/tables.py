"""The database's tables. Lists order by `seq`, as `created_at` has whole seconds only."""

from collections.abc import Callable
from functools import cache
from typing import Annotated, Any, ClassVar

from sqlalchemy import JSON as JSON_TYPE
from sqlalchemy import (
    BigInteger,
    Connection,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    UniqueConstraint,
    event,
    inspect,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.orm.attributes import instance_dict

JSON = dict[str, Any]
ACTIVE = ("queued", "in_progress", "requires_action", "cancelling")
ACTIVE_RUN = text(f"status IN ({', '.join(repr(status) for status in ACTIVE)})")
_WAITING_FILE = text("status = 'in_progress'")

# What stands in a list has a number that is never used again, so that a cursor keeps its place. SQLite autoincrements
# INTEGER keys only.
_NEVER_AGAIN = {"sqlite_autoincrement": True}
_Seq = Annotated[int, mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)]
_Large = Annotated[int, mapped_column(BigInteger)]
_ThreadId = Annotated[str, mapped_column(ForeignKey("threads.id", ondelete="CASCADE"), index=True)]


class Base(DeclarativeBase):
    """What all tables have: a constructor that knows the defaults."""

    type_annotation_map: ClassVar = {
        **dict.fromkeys((JSON, list[JSON], dict[str, str], Any), JSON_TYPE(none_as_null=True)),
        float: Float,
    }

    def __init__(self, **values: Any) -> None:
        plain, factories = _defaults(type(self))
        if unknown := values.keys() - plain.keys():
            raise TypeError(f"{type(self).__name__} has no {', '.join(sorted(unknown))}")
        # SQLAlchemy's own would leave the defaults to the INSERT, and what is NULL to a SELECT after it.
        instance_dict(self).update(plain | {name: make(None) for name, make in factories.items()} | values)


@cache
def _defaults(table: type[Base]) -> tuple[JSON, dict[str, Callable[[None], Any]]]:
    """All columns with what they have where nothing is given, and what makes it where no two rows may share it."""
    columns = {attribute.key: attribute.columns[0] for attribute in inspect(table).column_attrs}
    defaults = {name: column.default.arg for name, column in columns.items() if column.default is not None}
    factories = {name: default for name, default in defaults.items() if callable(default)}
    return dict.fromkeys(columns) | defaults, factories


class Assistant(Base):
    """See schemas/assistants.py."""

    __tablename__ = "assistants"
    __table_args__ = _NEVER_AGAIN

    seq: Mapped[_Seq]
    id: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[int]
    name: Mapped[str | None]
    description: Mapped[str | None]
    model: Mapped[str]
    instructions: Mapped[str | None]
    tools: Mapped[list[JSON]] = mapped_column(default=list)
    tool_resources: Mapped[JSON] = mapped_column(default=dict)
    metadata_: Mapped[dict[str, str]] = mapped_column("metadata", default=dict)
    temperature: Mapped[float | None]
    top_p: Mapped[float | None]
    reasoning_effort: Mapped[str | None]
    response_format: Mapped[Any] = mapped_column(default="auto", nullable=False)


class Thread(Base):
    """See schemas/threads.py."""

    __tablename__ = "threads"
    __table_args__ = _NEVER_AGAIN

    seq: Mapped[_Seq]
    id: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[int]
    metadata_: Mapped[dict[str, str]] = mapped_column("metadata", default=dict)
    tool_resources: Mapped[JSON] = mapped_column(default=dict)


class Message(Base):
    """See schemas/messages.py."""

    __tablename__ = "messages"
    __table_args__ = _NEVER_AGAIN

    seq: Mapped[_Seq]
    id: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[int]
    thread_id: Mapped[_ThreadId]
    assistant_id: Mapped[str | None]
    run_id: Mapped[str | None] = mapped_column(index=True)
    role: Mapped[str]
    status: Mapped[str] = mapped_column(default="completed")
    content: Mapped[list[JSON]] = mapped_column(default=list)
    attachments: Mapped[list[JSON]] = mapped_column(default=list)
    metadata_: Mapped[dict[str, str]] = mapped_column("metadata", default=dict)
    completed_at: Mapped[int | None]
    incomplete_at: Mapped[int | None]
    incomplete_details: Mapped[JSON | None]


class Run(Base):
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
        ),
        _NEVER_AGAIN,
    )

    seq: Mapped[_Seq]
    id: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[int]
    thread_id: Mapped[_ThreadId]
    assistant_id: Mapped[str]
    status: Mapped[str] = mapped_column(default="queued", index=True)
    started_at: Mapped[int | None]
    expires_at: Mapped[int | None]
    cancelled_at: Mapped[int | None]
    failed_at: Mapped[int | None]
    completed_at: Mapped[int | None]
    required_action: Mapped[JSON | None]
    last_error: Mapped[JSON | None]
    model: Mapped[str]
    instructions: Mapped[str | None]
    tools: Mapped[list[JSON]] = mapped_column(default=list)
    tool_resources: Mapped[JSON] = mapped_column(default=dict)
    metadata_: Mapped[dict[str, str]] = mapped_column("metadata", default=dict)
    temperature: Mapped[float | None]
    top_p: Mapped[float | None]
    reasoning_effort: Mapped[str | None]
    max_completion_tokens: Mapped[int | None]
    max_prompt_tokens: Mapped[int | None]
    truncation_strategy: Mapped[JSON] = mapped_column(default=dict)
    incomplete_details: Mapped[JSON | None]
    usage: Mapped[JSON | None]
    response_format: Mapped[Any] = mapped_column(default="auto", nullable=False)
    tool_choice: Mapped[Any] = mapped_column(default="auto", nullable=False)
    parallel_tool_calls: Mapped[bool] = mapped_column(default=True)
    position: Mapped[JSON | None]


class RunStep(Base):
    """See schemas/run_steps.py."""

    __tablename__ = "run_steps"
    __table_args__ = _NEVER_AGAIN

    seq: Mapped[_Seq]
    id: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[int]
    run_id: Mapped[str] = mapped_column(index=True)
    assistant_id: Mapped[str]
    thread_id: Mapped[_ThreadId]
    type: Mapped[str]
    status: Mapped[str] = mapped_column(default="in_progress")
    cancelled_at: Mapped[int | None]
    completed_at: Mapped[int | None]
    expired_at: Mapped[int | None]
    expires_at: Mapped[int | None]
    failed_at: Mapped[int | None]
    last_error: Mapped[JSON | None]
    step_details: Mapped[JSON] = mapped_column(default=dict)
    usage: Mapped[JSON | None]
    metadata_: Mapped[dict[str, str]] = mapped_column("metadata", default=dict)


class File(Base):
    """See schemas/files.py. The content lies in the file storage under the id."""

    __tablename__ = "files"
    __table_args__ = _NEVER_AGAIN

    seq: Mapped[_Seq]
    id: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[int]
    purpose: Mapped[str]
    filename: Mapped[str]
    bytes: Mapped[_Large]
    expires_at: Mapped[int | None] = mapped_column(index=True)
    status: Mapped[str] = mapped_column(default="processed")
    status_details: Mapped[str | None]


class Upload(Base):
    """See schemas/uploads.py. `expires_after` is the file's that it becomes, `expires_at` its own."""

    __tablename__ = "uploads"
    __table_args__ = (Index("uploads_due", "status", "expires_at"), _NEVER_AGAIN)

    seq: Mapped[_Seq]
    id: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[int]
    expires_at: Mapped[int]
    filename: Mapped[str]
    purpose: Mapped[str]
    bytes: Mapped[_Large]
    expires_after: Mapped[JSON | None]
    status: Mapped[str] = mapped_column(default="pending")


class UploadPart(Base):
    """A part of a pending upload. The content lies in the file storage under the id."""

    __tablename__ = "upload_parts"

    id: Mapped[str] = mapped_column(primary_key=True)
    upload_id: Mapped[str] = mapped_column(ForeignKey("uploads.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[int]
    bytes: Mapped[int]


class VectorStore(Base):
    """See schemas/vector_stores.py. Its files are counted, whenever it is shown.

    `expires_at` moves with `last_active_at`. The sweeper makes `status` expired once that time has come.
    """

    __tablename__ = "vector_stores"
    __table_args__ = _NEVER_AGAIN

    seq: Mapped[_Seq]
    id: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[int]
    name: Mapped[str | None]
    description: Mapped[str | None]
    expires_after: Mapped[JSON | None]
    expires_at: Mapped[int | None] = mapped_column(index=True)
    last_active_at: Mapped[int]
    status: Mapped[str] = mapped_column(default="completed")
    metadata_: Mapped[dict[str, str]] = mapped_column("metadata", default=dict)


class VectorStoreFile(Base):
    """See schemas/vector_store_files.py. `id` is the file's; `seq`, never reused, is what retrieval knows it by."""

    __tablename__ = "vector_store_files"
    __table_args__ = (
        UniqueConstraint("vector_store_id", "id"),
        # Counts and usage are sums over this index alone.
        Index("vector_store_files_counted", "vector_store_id", "status", "usage_bytes"),
        Index("vector_store_files_waiting", "seq", sqlite_where=_WAITING_FILE),
        _NEVER_AGAIN,
    )

    seq: Mapped[_Seq]
    id: Mapped[str] = mapped_column(index=True)
    created_at: Mapped[int]
    vector_store_id: Mapped[str] = mapped_column(ForeignKey("vector_stores.id", ondelete="CASCADE"))
    status: Mapped[str] = mapped_column(default="in_progress")
    last_error: Mapped[JSON | None]
    usage_bytes: Mapped[_Large] = mapped_column(default=0)
    max_chunk_size_tokens: Mapped[int]
    chunk_overlap_tokens: Mapped[int]
    attributes: Mapped[JSON] = mapped_column(default=dict)


class FileBatch(Base):
    """See schemas/file_batches.py. Its files name it; what became of them is counted."""

    __tablename__ = "file_batches"
    __table_args__ = _NEVER_AGAIN

    seq: Mapped[_Seq]
    id: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[int]
    vector_store_id: Mapped[str] = mapped_column(ForeignKey("vector_stores.id", ondelete="CASCADE"), index=True)
    cancelled: Mapped[bool] = mapped_column(default=False)


class FileBatchFile(Base):
    """A file that a batch put into its store. What has become of it is told by the store's row."""

    __tablename__ = "file_batch_files"

    batch_id: Mapped[str] = mapped_column(ForeignKey("file_batches.id", ondelete="CASCADE"), primary_key=True)
    file_id: Mapped[str] = mapped_column(primary_key=True)


class Tombstone(Base):
    """Where a deleted object stood in its list, so that a cursor that names it still works.

    `for item in client….list(): client….delete(item.id)` asks for the page after an object that is gone.
    """

    __tablename__ = "tombstones"

    id: Mapped[str] = mapped_column(primary_key=True)
    seq: Mapped[_Large]
    deleted_at: Mapped[int] = mapped_column(index=True)


@event.listens_for(Base.metadata, "before_create")
def _limit_indexes(metadata: MetaData, connection: Connection, **_: object) -> None:
    """Let partial indexes be partial on PostgreSQL too: to name its option above loads its dialect, 0.1 s."""
    if connection.dialect.name == "postgresql":
        for index in (index for table in metadata.tables.values() for index in table.indexes):
            index.dialect_kwargs["postgresql_where"] = index.dialect_kwargs.get("sqlite_where")
