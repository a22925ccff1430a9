"""Copies of a world's data folder: contents, which never change, are linked, databases copied whole."""

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

DATABASE = "understudy.db"
_DATABASES = (DATABASE, "retrieval/retrieval.db")
_LINKED = "files"


def copy_world(source: Path, target: Path) -> None:
    """Copy a world's folder; of a database the last commit, also while it is in use.

    Chroma's folder is left out: it is made again of what the database of file search holds.
    """
    target.mkdir(parents=True)
    for name in _DATABASES:
        if (source / name).exists():
            (target / name).parent.mkdir(exist_ok=True)
            _copy_database(source / name, target / name)
    (target / _LINKED).mkdir()
    if (source / _LINKED).exists():
        for content in os.scandir(source / _LINKED):
            os.link(content.path, target / _LINKED / content.name)


def _copy_database(source: Path, target: Path) -> None:
    with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)


def clone_database(template: Path, folder: Path) -> None:
    """Begin a world with a copy of a database that nobody uses: faster than to make its tables."""
    folder.mkdir(parents=True)
    shutil.copyfile(template, folder / DATABASE)
