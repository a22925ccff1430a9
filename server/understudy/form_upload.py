"""A multipart form read as it arrives: fields into memory, the content straight to disk, its size checked meanwhile."""

import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO, TypeVar

from anyio import to_thread
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from understudy import refusals

Model = TypeVar("Model", bound=BaseModel)

_BLOCK = 1024 * 1024
_MAX_FIELD = 64 * 1024
_MAX_FIELDS = 32
# The parser reports each byte boundary at debug level; formatting that costs more than parsing.
logging.getLogger("python_multipart").setLevel(logging.WARNING)


@dataclass(slots=True)
class Form:
    """What a form held besides the content. `filename` is None where no content came."""

    fields: dict[str, str] = field(default_factory=dict)
    filename: str | None = None
    size: int = 0

    def validated(self, model: type[Model]) -> Model:
        """The fields as `model` describes them, `a[b]` being the `b` of its `a`. Raises RequestValidationError."""
        nested: dict[str, Any] = {}
        for name, value in self.fields.items():
            outer, bracket, inner = name.partition("[")
            if not bracket:
                nested[name] = value
            elif isinstance(within := nested.setdefault(outer, {}), dict):
                within[inner.removesuffix("]")] = value
        try:
            return model.model_validate_strings(nested)
        except ValidationError as error:
            findings = [{**finding, "loc": ("body", *finding["loc"])} for finding in error.errors()]
            raise RequestValidationError(findings, body=nested) from error


async def receive(
    content_type: str, chunks: AsyncIterator[bytes], target: BinaryIO, max_bytes: int, name: str = "file"
) -> Form:
    """Read a form whose part `name` goes to `target`. Raises BadRequestError for what is no form or too large."""
    kind, options = parse_options_header(content_type)
    if kind != b"multipart/form-data" or not options.get(b"boundary"):
        raise refusals.NO_FORM(reason="expected content type multipart/form-data.")
    reader = _Reader(name, max_bytes)
    try:
        parser = MultipartParser(options[b"boundary"], reader.callbacks())  # type: ignore[arg-type]
        async for chunk in chunks:
            parser.write(chunk)
            if len(reader.block) >= _BLOCK:
                await _flush(reader, target)
        parser.finalize()
    except FormParserError as error:
        raise refusals.NO_FORM(reason=error) from error
    if not reader.ended:
        raise refusals.NO_FORM(reason="it ended before its last boundary.")
    await _flush(reader, target)
    return reader.form


async def _flush(reader: "_Reader", target: BinaryIO) -> None:
    block, reader.block = reader.block, bytearray()
    await to_thread.run_sync(target.write, block)


class _Reader:
    """The parser's callbacks."""

    def __init__(self, content_name: str, max_bytes: int) -> None:
        self.form = Form()
        self.block = bytearray()
        self.ended = False
        self._content_name = content_name
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
        if self._name != self._content_name:
            return
        if self.form.filename is not None:
            raise refusals.CONTENT_TWICE(param=self._name)
        self.form.filename = options.get(b"filename", b"").decode("utf-8", "replace") or "upload"

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        if self._name != self._content_name:
            self._field += data[start:end]
            if len(self._field) > _MAX_FIELD:
                raise refusals.FIELD_TOO_LONG(param=self._name)
            return
        self.form.size += end - start
        if self.form.size > self._max_bytes:
            raise refusals.CONTENT_TOO_LARGE(param=self._name, most=self._max_bytes // 1024**2)
        self.block += data[start:end]

    def _part_end(self) -> None:
        if self._name and self._name != self._content_name:
            if len(self.form.fields) >= _MAX_FIELDS:
                raise refusals.TOO_MANY_FIELDS(most=_MAX_FIELDS)
            self.form.fields[self._name] = self._field.decode("utf-8", "replace")

    def _end(self) -> None:
        self.ended = True
