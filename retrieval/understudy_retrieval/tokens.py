"""Counting in cl100k tokens, the unit of the API's chunk sizes: offline, and at any length of text."""

import base64
import gzip
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from tiktoken import Encoding

VOCABULARY = Path(__file__).parent / "data" / "cl100k" / "cl100k_base.tiktoken.gz"
_PATTERN = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+"
    r"|\s++$|\s*[\r\n]|\s+(?!\S)|\s"
)
# Nothing in the pattern reaches across the end of a word or number: a text cut there keeps the tokens it had whole.
_END_OF_WORD = re.compile(r"[^\W_](?=[\W_])")
_PIECE = 1 << 16
_LONGEST_PIECE = 1 << 17
_loading = threading.Lock()


@dataclass(frozen=True, slots=True)
class TokenGrid:
    """The cl100k tokens of a text, as places to cut it."""

    count: int
    _starts: NDArray[np.uint32]

    def cut(self, token: int) -> int:
        """Where that token begins in the text, moved back to a character's begin; at `count`, the text's length."""
        return int(self._starts[token])


class _Vocabulary(NamedTuple):
    encoding: "Encoding"
    lengths: NDArray[np.uint8]
    """In bytes, by token."""


def tokenize(text: str) -> TokenGrid:
    """The text's tokens. Control tokens such as `<|endoftext|>` are plain text; a lone surrogate counts as a `?`."""
    starts = []
    begin = 0
    for piece in _pieces(text):
        starts.append(_starts(piece) + np.uint32(begin))
        begin += len(piece)
    starts.append(np.array([begin], dtype=np.uint32))
    grid = np.concatenate(starts)
    return TokenGrid(len(grid) - 1, grid)


def count(text: str) -> int:
    """How many tokens the text has."""
    encoding = _vocabulary().encoding
    return sum(len(encoding.encode_ordinary(_encodable(piece))) for piece in _pieces(text))


def _pieces(text: str) -> Iterator[str]:
    """The text cut at ends of words, so that no step is long; where a run has none, simply cut."""
    begin = 0
    while len(text) - begin > _LONGEST_PIECE:
        found = _END_OF_WORD.search(text, begin + _PIECE, begin + _LONGEST_PIECE)
        end = found.end() if found else begin + _LONGEST_PIECE
        yield text[begin:end]
        begin = end
    yield text[begin:]


def _starts(piece: str) -> NDArray[np.uint32]:
    """For each token, the character in which it begins."""
    encoding, lengths = _vocabulary()
    piece = _encodable(piece)
    sizes = lengths[np.array(encoding.encode_ordinary(piece), dtype=np.uint32)]
    begins: NDArray[np.uint32] = np.cumsum(sizes, dtype=np.uint32) - sizes
    if piece.isascii():
        return begins
    octets = np.frombuffer(piece.encode(), dtype=np.uint8)
    # A byte 10xxxxxx goes on with a character, every other begins one.
    characters: NDArray[np.uint32] = np.cumsum((octets & 0xC0) != 0x80, dtype=np.uint32) - np.uint32(1)
    return characters[begins]


def _encodable(piece: str) -> str:
    return piece if piece.isascii() else piece.encode(errors="replace").decode()


def _vocabulary() -> _Vocabulary:
    with _loading:
        return _load()


@cache
def _load() -> _Vocabulary:
    from tiktoken import Encoding

    ranks = {}
    for line in gzip.decompress(VOCABULARY.read_bytes()).splitlines():
        token, _, rank = line.partition(b" ")
        ranks[base64.b64decode(token)] = int(rank)
    lengths = np.zeros(len(ranks), dtype=np.uint8)
    for word, number in ranks.items():
        lengths[number] = len(word)
    return _Vocabulary(Encoding("cl100k", pat_str=_PATTERN, mergeable_ranks=ranks, special_tokens={}), lengths)
