"""A multipart upload read as it arrives: fields into memory, the file straight to disk, its size checked meanwhile."""

import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from anyio import to_thread
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from understudy.errors import BadRequestError

_BLOCK = 1024 * 1024
_MAX_FIELD = 64 * 1024
_MAX_FIELDS = 32
# The parser reports each byte boundary at debug level; formatting that costs more than parsing.
logging.getLogger("python_multipart").setLevel(logging.WARNING)


@dataclass(slots=True)
class Upload:
    """What a form held besides the file's content. `filename` is None where no file came."""

    fields: dict[str, str] = field(default_factory=dict)
    filename: str | None = None
    size: int = 0


async def receive(content_type: str, chunks: AsyncIterator[bytes], target: BinaryIO, max_bytes: int) -> Upload:
    """Read a form whose part `file` goes to `target`. Raises BadRequestError for what is no form or too large."""
    kind, options = parse_options_header(content_type)
    if kind != b"multipart/form-data" or not options.get(b"boundary"):
        raise BadRequestError("Could not parse multipart form: expected content type multipart/form-data.")
    reader = _Reader(max_bytes)
    try:
        parser = MultipartParser(options[b"boundary"], reader.callbacks())  # type: ignore[arg-type]
        async for chunk in chunks:
            parser.write(chunk)
            if len(reader.block) >= _BLOCK:
                await _flush(reader, target)
        parser.finalize()
    except FormParserError as error:
        raise BadRequestError(f"Could not parse multipart form: {error}") from error
    if not reader.ended:
        raise BadRequestError("Could not parse multipart form: it ended before its last boundary.")
    await _flush(reader, target)
    return reader.upload


async def _flush(reader: "_Reader", target: BinaryIO) -> None:
    block, reader.block = reader.block, bytearray()
    await to_thread.run_sync(target.write, block)


class _Reader:
    """The parser's callbacks."""

    def __init__(self, max_bytes: int) -> None:
        self.upload = Upload()
        self.block = bytearray()
        self.ended = False
        self._max_bytes = max_bytes
        self._header = bytearray()
        self._value = bytearray()
        self._disposition = b""
        self._name = ""
        self._field = bytearray()

    def callbacks(self) -> dict[str, Any]:
        """By the names that the parser calls them."""
        names = ("part_begin", "header_field", "header_value", "header_end", "headers_finished", "part_data")
        return {f"on_{name}": getattr(self, f"_{name}") for name in names} | {
            "on_part_end": self._part_end,
            "on_end": self._end,
        }

    def _part_begin(self) -> None:
        self._disposition, self._name, self._field = b"", "", bytearray()

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = bytes(self._value)
        self._header, self._value = bytearray(), bytearray()

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._disposition)
        self._name = options.get(b"name", b"").decode("utf-8", "replace")
        if self._name == "file" and self.upload.filename is not None:
            raise BadRequestError("The form has more than one part 'file'.", param="file")
        if self._name == "file":
            self.upload.filename = options.get(b"filename", b"").decode("utf-8", "replace") or "upload"

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        if self._name != "file":
            self._field += data[start:end]
            if len(self._field) > _MAX_FIELD:
                raise BadRequestError(f"Invalid '{self._name}': string too long.", param=self._name)
            return
        self.upload.size += end - start
        if self.upload.size > self._max_bytes:
            limit = self._max_bytes // 1024**2
            raise BadRequestError(f"The file is larger than the {limit} MB that a file may have.", param="file")
        self.block += data[start:end]

    def _part_end(self) -> None:
        if self._name and self._name != "file":
            if len(self.upload.fields) >= _MAX_FIELDS:
                raise BadRequestError(f"The form has more than {_MAX_FIELDS} fields.")
            self.upload.fields[self._name] = self._field.decode("utf-8", "replace")

    def _end(self) -> None:
        self.ended = True
