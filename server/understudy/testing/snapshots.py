"""Copies of a world's data folder: contents, which never change, are linked, the database of file search is copied."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

_RETRIEVAL = "retrieval/retrieval.db"
_LINKED = "files"


def copy_world(source: Path, target: Path) -> None:
    """Copy a world's folder; of the database the last commit, also while it is in use.

    Chroma's folder is left out: it is made again of what the database of file search holds.
    """
    target.mkdir(parents=True)
    if (source / _RETRIEVAL).exists():
        (target / _RETRIEVAL).parent.mkdir()
        _copy_database(source / _RETRIEVAL, target / _RETRIEVAL)
    (target / _LINKED).mkdir()
    if (source / _LINKED).exists():
        for content in os.scandir(source / _LINKED):
            os.link(content.path, target / _LINKED / content.name)


def _copy_database(source: Path, target: Path) -> None:
    with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)
