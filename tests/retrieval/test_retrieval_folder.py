"""The folder of file search: which model embeds, and what is said where it is not there."""

from dataclasses import replace
from pathlib import Path

import pytest

from understudy.doctor import _file_search
from understudy.retrieval_folder import RetrievalFolder, hint
from understudy.settings import Settings
from understudy.supervisor import Supervisor


def _settings(embedder: str, folder: Path) -> Settings:
    return replace(Settings(), data_dir=folder, embedder=embedder, upstream="http://127.0.0.1:9/v1")


def test_the_model_is_there(tmp_path: Path) -> None:
    settings = _settings("minilm", tmp_path)
    assert hint(settings) is None
    assert _file_search(settings) == ("ok", "file search", "by meaning (minilm) and words")


@pytest.mark.anyio
async def test_the_model_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("understudy.retrieval_folder.find_model", lambda: None)
    settings = _settings("minilm", tmp_path)
    mark, _, said = _file_search(settings)
    assert mark == "--"
    assert said.endswith("understudy model build")
    supervisor = Supervisor()
    folder = RetrievalFolder(settings, supervisor)
    assert (folder.embedder, folder.hint, folder.exists) == (None, said, False)
    async with supervisor:
        retrieval = await folder.open()
        assert retrieval.embedder is None
        assert await folder.open() is retrieval
    await folder.aclose()
    assert folder.exists


@pytest.mark.parametrize(
    ("embedder", "mark", "said"),
    [
        ("none", "ok", "words alone decide"),
        ("upstream:e", "ok", "by meaning (upstream:e) and words"),
        ("sentence-transformers:m", "!!", "sentence-transformers is not installed"),
    ],
)
def test_other_models(embedder: str, mark: str, said: str, tmp_path: Path) -> None:
    finding = _file_search(_settings(embedder, tmp_path))
    assert finding[0] == mark
    assert said in finding[2]
