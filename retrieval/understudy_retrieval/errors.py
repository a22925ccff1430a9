"""What can go wrong.

RetrievalError
├── FileRefusedError        the file cannot be searched: its type, its content, its size
├── EmbeddingError          the embedding model failed or could not be reached
│   └── EmbeddingRefusedError   … and would if it were asked again
├── EmbedderMismatchError   a store was embedded by another model
├── StoreRemovedError       a store was removed while something was put into it
└── FolderLockedError       another process uses the folder
"""

from typing import Literal

RefusalCode = Literal["unsupported_file", "invalid_file", "server_error"]


class RetrievalError(Exception):
    """The root."""


class FileRefusedError(RetrievalError):
    """The file cannot be searched; `code` and text are those of a vector store file's `last_error`."""

    def __init__(self, code: RefusalCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    @classmethod
    def unsupported(cls) -> "FileRefusedError":
        """A type that the API does not take."""
        return cls("unsupported_file", "The file type is not supported.")

    @classmethod
    def unreadable(cls) -> "FileRefusedError":
        """Damaged, encrypted, without text, or not what its name says."""
        return cls("invalid_file", "The file could not be parsed.")

    @classmethod
    def too_large(cls) -> "FileRefusedError":
        """More bytes or tokens than the limits allow."""
        return cls("invalid_file", "The file could not be parsed because it is too large.")


class EmbeddingError(RetrievalError):
    """The embedding model failed or could not be reached."""


class EmbeddingRefusedError(EmbeddingError):
    """The embedding model will not embed this, however often it is asked."""


class EmbedderMismatchError(RetrievalError):
    """A store was embedded by another model than the one that is configured."""


class StoreRemovedError(RetrievalError):
    """A store was removed while something was put into it."""


class FolderLockedError(RetrievalError):
    """Another process uses the folder."""
