"""An Office file: a zip of parts, and the relations between them."""

import posixpath
import struct
from collections.abc import Mapping
from typing import Any
from zipfile import ZipFile

from .markup import Prose, scan
from .refusal import TooLargeError, UnreadableError

DIRECTORY_END = b"PK\x05\x06"
DIRECTORY_END_WITHIN = 22 + 65_535
DIRECTORY_BYTES = 1024
"""Bytes that an entry may take in the zip's directory."""


class Package:
    """The parts of a .docx or .pptx. Raises UnreadableError, TooLargeError."""

    def __init__(self, path: str, limits: Mapping[str, Any]) -> None:
        _check_directory(path, limits["zip_entries"])
        self._zip = ZipFile(path)
        self._limit = limits["text"]
        entries = self._zip.infolist()
        if len(entries) > limits["zip_entries"] or sum(entry.file_size for entry in entries) > limits["zip_bytes"]:
            raise TooLargeError
        # Names are told apart without regard to case; zipfile reads no entry beyond the size that it declares.
        self._names = {entry.filename.lower(): entry for entry in entries}

    def main_part(self) -> str:
        """The name of the part that all others hang on."""
        mains = self.related("", "officeDocument")
        if not mains:
            raise UnreadableError("no main part")
        return mains[0]

    def related(self, part: str, *kinds: str) -> list[str]:
        """The names of the parts that a part refers to, of these kinds, in their order."""
        return [target for kind, target in self.relations(part).values() if kind in kinds]

    def relations(self, part: str) -> dict[str, tuple[str, str]]:
        """The kind and the name of each part that a part refers to, by the relation's id."""
        folder, name = posixpath.split(part)
        entry = self._names.get(posixpath.join(folder, "_rels", f"{name}.rels").lower())
        found: dict[str, tuple[str, str]] = {}

        def take(name: str, attributes: dict[str, str]) -> None:
            if name == "Relationship" and attributes.get("TargetMode") != "External":
                target = posixpath.normpath(posixpath.join("/", folder, attributes["Target"])).lstrip("/")
                if target.lower() in self._names:
                    found[attributes["Id"]] = attributes["Type"].rpartition("/")[2], target

        if entry is not None:
            with self._zip.open(entry) as stream:
                scan(stream, take)
        return found

    def elements(self, part: str, element: str) -> list[dict[str, str]]:
        """The attributes of each element of this name in a part."""
        found: list[dict[str, str]] = []

        def take(name: str, attributes: dict[str, str]) -> None:
            if name == element:
                found.append(attributes)

        with self._zip.open(self._names[part.lower()]) as stream:
            scan(stream, take)
        return found

    def text(self, part: str) -> str:
        """The text of a part."""
        with self._zip.open(self._names[part.lower()]) as stream:
            return Prose(self._limit).read(stream)


def _check_directory(path: str, entries: int) -> None:
    """Look at the zip's directory before all of it is read into memory."""
    with open(path, "rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - DIRECTORY_END_WITHIN))
        tail = file.read()
    at = tail.rfind(DIRECTORY_END)
    if at < 0 or at + 22 > len(tail):
        raise UnreadableError("not a zip")
    count, directory = struct.unpack_from("<HI", tail, at + 10)
    if count > entries or directory > entries * DIRECTORY_BYTES:
        raise TooLargeError
