"""The vector index in a process of its own.

Chroma holds the interpreter's lock while it writes its graph, 0.9 s for 200,000 vectors, which would stop every stream
of the server; and whatever happens to it there happens to that process alone. It is started by the first use, ends when
its pipe does, and holds a lock on the folder until then, so that two never write the same graph.
"""

import contextlib
import logging
import os
import pickle
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from understudy_retrieval.chunk_rows import Store
from understudy_retrieval.errors import RetrievalError
from understudy_retrieval.vector_index import VectorIndex

log = logging.getLogger("understudy_retrieval")


class IndexProcess:
    """As VectorIndex, in the folder; all methods block. What fails there raises RetrievalError here."""

    remote = False

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def used(self) -> bool:
        """Whether there may be anything in it."""
        return self._folder.exists()

    def add(self, store: Store, member: int, first: int, vectors: NDArray[np.float32]) -> None:
        """See VectorIndex."""
        self._ask("add", store, member, first, vectors)

    def remove(self, store: Store, member: int, first: int, end: int) -> None:
        """See VectorIndex."""
        self._ask("remove", store, member, first, end)

    def query(self, store: Store, vector: NDArray[np.float32], most: int) -> list[tuple[int, int, float]]:
        """See VectorIndex."""
        found: list[tuple[int, int, float]] = self._ask("query", store, vector, most)
        return found

    def count(self, store: Store) -> int:
        """See VectorIndex."""
        return int(self._ask("count", store))

    def drop(self, name: str) -> None:
        """See VectorIndex."""
        self._ask("drop", name)

    def names(self) -> list[str]:
        """See VectorIndex."""
        names: list[str] = self._ask("names")
        return names

    def erase(self) -> None:
        """See VectorIndex."""
        self.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def close(self) -> None:
        """End the process, which finishes what it is writing."""
        with self._lock:
            if self._process is not None:
                self._end(self._process)
                self._process = None

    def _ask(self, method: str, *arguments: Any) -> Any:
        with self._lock:
            if self._process is None:
                self._process = self._start()
            try:
                answer, error = _exchange(self._process, (method, arguments))
            except (OSError, EOFError, pickle.UnpicklingError) as broken:
                self._end(self._process)
                self._process = None
                raise RetrievalError("the vector index's process has ended") from broken
        if error is not None:
            raise RetrievalError(f"the vector index: {error}")
        return answer

    def _start(self) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "understudy_retrieval.index_process", os.fspath(self._folder)]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603

    def _end(self, process: "subprocess.Popen[bytes]") -> None:
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        process.wait()


def _exchange(process: "subprocess.Popen[bytes]", question: object) -> tuple[Any, str | None]:
    assert process.stdin is not None
    assert process.stdout is not None
    pickle.dump(question, process.stdin)
    process.stdin.flush()
    answer: tuple[Any, str | None] = pickle.load(process.stdout)  # noqa: S301 - from our own process
    return answer


def _serve(index: VectorIndex, questions: IO[bytes], answers: IO[bytes]) -> None:
    while True:
        try:
            method, arguments = pickle.load(questions)  # noqa: S301 - from the process that started this one
        except EOFError:
            return
        answer: tuple[Any, str | None]
        try:
            answer = (getattr(index, method)(*arguments), None)
        except Exception as error:
            answer = (None, f"{type(error).__name__}: {error}")
        pickle.dump(answer, answers)
        answers.flush()


def _main(folder: Path) -> None:
    questions, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints must not reach the answers
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / "chroma.lock").open("a") as lock:
        with contextlib.suppress(ImportError):
            import fcntl

            fcntl.flock(lock, fcntl.LOCK_EX)  # waits for one whose server was killed, and which is still writing
        index = VectorIndex(folder, None)
        with contextlib.suppress(BrokenPipeError):
            _serve(index, questions, answers)
        index.close()


if __name__ == "__main__":
    import signal

    # Ctrl-C goes to the whole group; the server ends this process when it has no more questions.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _main(Path(sys.argv[1]))
