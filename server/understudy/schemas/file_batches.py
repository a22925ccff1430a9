"""File batches: files that come into a vector store together."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from understudy import refusals
from understudy.schemas.base import Body, Id, Object
from understudy.schemas.vector_store_files import Attributes, ChunkingStrategy, VectorStoreFileCreate
from understudy.schemas.vector_stores import FileCounts

_MAX_FILES = 2000


class FileBatchCreate(Body):
    """The body of createVectorStoreFileBatch: `file_ids` that share all else, or `files` that bring their own."""

    file_ids: Annotated[list[Id] | None, Field(min_length=1, max_length=_MAX_FILES)] = None
    files: Annotated[list[VectorStoreFileCreate] | None, Field(min_length=1, max_length=_MAX_FILES)] = None
    attributes: Attributes | None = None
    chunking_strategy: ChunkingStrategy | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> "FileBatchCreate":
        if self.file_ids is None and self.files is None:
            raise refusals.MISSING(param="file_ids")
        if self.file_ids is not None and self.files is not None:
            raise refusals.EXCLUSIVE(param="files", first="file_ids", second="files")
        return self

    def all_files(self) -> list[VectorStoreFileCreate]:
        """The files, each with what holds for it."""
        if self.files is not None:
            return self.files
        return [
            VectorStoreFileCreate.model_construct(
                file_id=file_id, attributes=self.attributes, chunking_strategy=self.chunking_strategy
            )
            for file_id in self.file_ids or []
        ]


class FileBatch(Object):
    """A file batch, fields in the recorded order; its `object` is what strict clients expect, not the wire's."""

    id: str
    object: Literal["vector_store.files_batch"] = "vector_store.files_batch"
    created_at: int
    status: Literal["in_progress", "completed", "cancelled", "failed"]
    vector_store_id: str
    file_counts: FileCounts
