"""A sentence embedding model of BERT's architecture as an ONNX graph, written node by node from its weights.

Mean pooling and normalisation are in the graph: token numbers and mask in, vectors of unit length out.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

# The oldest that have LayerNormalization as one operator; onnxruntime has taken both since 1.12.
OPSET = 17
IR_VERSION = 8


@dataclass(frozen=True, slots=True)
class BertConfig:
    """The architecture's numbers."""

    layers: int = 6
    heads: int = 12
    width: int = 384
    epsilon: float = 1e-12


def bert_graph(weights: Mapping[str, NDArray[Any]], config: BertConfig) -> onnx.ModelProto:
    """The model of these weights: `input_ids` and `attention_mask` in, `embedding` out. Raises KeyError."""
    graph = _Graph(weights)
    hidden = _embeddings(graph, config)
    bias = _attention_bias(graph)
    for layer in range(config.layers):
        name = f"encoder.layer.{layer}"
        # Not Add, which onnxruntime would fuse with the normalisation, into an operator five times slower than both.
        attended = _attention(graph, hidden, bias, f"{name}.attention", config)
        hidden = _normalised(graph, graph.add("Sum", attended, hidden), f"{name}.attention.output.LayerNorm", config)
        inner = _gelu(graph, _linear(graph, hidden, f"{name}.intermediate.dense"))
        outer = _linear(graph, inner, f"{name}.output.dense")
        hidden = _normalised(graph, graph.add("Sum", outer, hidden), f"{name}.output.LayerNorm", config)
    _pooled(graph, hidden)
    return graph.model(config.width)


class _Graph:
    """Nodes and constants as they come."""

    def __init__(self, weights: Mapping[str, NDArray[Any]]) -> None:
        self._weights = weights
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}

    def add(self, operator: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """A node; the name of its output."""
        output = output or f"{operator.lower()}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, list(inputs), [output], name=f"/{output}", **attributes))
        return output

    def split(self, value: str, parts: int, size: int) -> list[str]:
        """The value in parts of that size along its last axis."""
        outputs = [f"{value}_part_{part}" for part in range(parts)]
        sizes = self.constant(f"{value}_sizes", np.full(parts, size, dtype=np.int64))
        self._nodes.append(helper.make_node("Split", [value, sizes], outputs, name=f"/{value}_split", axis=-1))
        return outputs

    def weight(self, name: str) -> NDArray[np.float32]:
        """One of the model's weights. Raises KeyError."""
        return np.asarray(self._weights[name], dtype=np.float32)

    def constant(self, name: str, value: NDArray[Any]) -> str:
        """A constant by this name, made once."""
        if name not in self._constants:
            self._constants[name] = numpy_helper.from_array(np.ascontiguousarray(value), name)
        return name

    def integers(self, *values: int) -> str:
        """A constant of integers, as shapes and axes are given."""
        return self.constant("integers_" + "_".join(map(str, values)), np.array(values, dtype=np.int64))

    def number(self, value: float) -> str:
        """A constant that is one number."""
        return self.constant(f"number_{value!r}", np.array(value, dtype=np.float32))

    def model(self, width: int) -> onnx.ModelProto:
        """All of it, checked."""
        texts = ["texts", "tokens"]
        inputs = [
            helper.make_tensor_value_info(name, TensorProto.INT64, texts) for name in ("input_ids", "attention_mask")
        ]
        outputs = [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["texts", width])]
        graph = helper.make_graph(self._nodes, "sentence_embedding", inputs, outputs, list(self._constants.values()))
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
        onnx.checker.check_model(model, full_check=True)
        return model


def _embeddings(graph: _Graph, config: BertConfig) -> str:
    """Of words and places; the words' in 8 bits with a scale for each, which costs nothing in quality."""
    weight = graph.weight("embeddings.word_embeddings.weight")
    scales = np.abs(weight).max(axis=1, keepdims=True) / 127
    octets = graph.constant("embeddings.words", np.rint(weight / scales).astype(np.int8))
    word = graph.add("Cast", graph.add("Gather", octets, "input_ids"), to=TensorProto.FLOAT)
    scale = graph.add("Gather", graph.constant("embeddings.scales", scales), "input_ids")
    # One sentence at a time is embedded, so that the type of every token is 0.
    kind = graph.weight("embeddings.token_type_embeddings.weight")[0]
    places = graph.constant("embeddings.places", graph.weight("embeddings.position_embeddings.weight") + kind)
    length = graph.add("Slice", graph.add("Shape", "input_ids"), graph.integers(1), graph.integers(2))
    placed = graph.add("Slice", places, graph.integers(0), length, graph.integers(0))
    return _normalised(graph, graph.add("Sum", graph.add("Mul", word, scale), placed), "embeddings.LayerNorm", config)


def _attention_bias(graph: _Graph) -> str:
    """0 where a token may be looked at and very little where it is padding, shape (texts, 1, 1, tokens)."""
    mask = graph.add("Cast", graph.add("Unsqueeze", "attention_mask", graph.integers(1, 2)), to=TensorProto.FLOAT)
    padding = graph.add("Sub", graph.number(1.0), mask)
    return graph.add("Mul", padding, graph.number(-10000.0))


def _attention(graph: _Graph, hidden: str, bias: str, name: str, config: BertConfig) -> str:
    """Multi-head attention; queries, keys and values come of one multiplication, which is quicker than three."""
    parts = [f"{name}.self.{part}" for part in ("query", "key", "value")]
    matrix = np.concatenate([graph.weight(f"{part}.weight").T for part in parts], axis=1)
    offset = np.concatenate([graph.weight(f"{part}.bias") for part in parts])
    product = graph.add("MatMul", hidden, graph.constant(f"{name}.qkv.weight", matrix))
    product = graph.add("Add", product, graph.constant(f"{name}.qkv.bias", offset))
    size = config.width // config.heads
    query, key, value = (
        graph.add("Reshape", part, graph.integers(0, 0, config.heads, size))
        for part in graph.split(product, 3, config.width)
    )
    query = graph.add("Transpose", query, perm=[0, 2, 1, 3])
    key = graph.add("Transpose", key, perm=[0, 2, 3, 1])
    value = graph.add("Transpose", value, perm=[0, 2, 1, 3])
    scores = graph.add("Mul", graph.add("MatMul", query, key), graph.number(1 / math.sqrt(size)))
    weights = graph.add("Softmax", graph.add("Add", scores, bias), axis=-1)
    context = graph.add("Transpose", graph.add("MatMul", weights, value), perm=[0, 2, 1, 3])
    merged = graph.add("Reshape", context, graph.integers(0, 0, config.width))
    return _linear(graph, merged, f"{name}.output.dense")


def _linear(graph: _Graph, value: str, name: str) -> str:
    product = graph.add("MatMul", value, graph.constant(f"{name}.weight", graph.weight(f"{name}.weight").T))
    return graph.add("Add", product, graph.constant(f"{name}.bias", graph.weight(f"{name}.bias")))


def _gelu(graph: _Graph, value: str) -> str:
    """In the five operators that onnxruntime fuses into one."""
    share = graph.add("Erf", graph.add("Div", value, graph.number(math.sqrt(2))))
    return graph.add("Mul", graph.add("Mul", value, graph.add("Add", share, graph.number(1.0))), graph.number(0.5))


def _normalised(graph: _Graph, value: str, name: str, config: BertConfig) -> str:
    scale = graph.constant(f"{name}.weight", graph.weight(f"{name}.weight"))
    offset = graph.constant(f"{name}.bias", graph.weight(f"{name}.bias"))
    return graph.add("LayerNormalization", value, scale, offset, epsilon=config.epsilon, axis=-1)


def _pooled(graph: _Graph, hidden: str) -> None:
    """The mean over the tokens that are no padding, of unit length."""
    mask = graph.add("Cast", graph.add("Unsqueeze", "attention_mask", graph.integers(2)), to=TensorProto.FLOAT)
    # The sum in the mean's place: the division by the count of tokens goes away in the normalisation.
    total = graph.add("ReduceSum", graph.add("Mul", hidden, mask), graph.integers(1), keepdims=0)
    length = graph.add("ReduceL2", total, axes=[1], keepdims=1)
    graph.add("Div", total, graph.add("Max", length, graph.number(1e-12)), output="embedding")
