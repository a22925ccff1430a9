"""Counting and cutting by cl100k tokens."""

import gzip
import hashlib
import inspect
import random
import string
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from tiktoken import Encoding
from tiktoken_ext import openai_public  # type: ignore[import-untyped]

from understudy_retrieval import tokens
from understudy_retrieval.tokens import count, tokenize

MIXED = (
    "Der Fuchs springt über 12,345 Hunde — “again”.\r\n\tdef f(x):\n    return x\n\n\n"
    "漢字かな交じり文。🎉\U0001f469\u200d\U0001f467 \u05e0\u05b8\u05e7  end \n"
)
RANDOM = random.Random(7)


def whole() -> Encoding:
    """tiktoken over the whole text, without our pieces."""
    tokenize("")
    return tokens._load().encoding


def test_the_vocabulary_is_the_vendors_own_file() -> None:
    digest = hashlib.sha256(gzip.decompress(tokens.VOCABULARY.read_bytes())).hexdigest()
    assert digest == "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7"
    source = inspect.getsource(openai_public.cl100k_base)
    assert digest in source
    assert tokens._PATTERN in source
    assert "MIT License" in (tokens.VOCABULARY.parent / "LICENSE").read_text()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("hello world", [15339, 1917]),
        ("tiktoken is great!", [83, 1609, 5963, 374, 2294, 0]),
        ("お誕生日おめでとう", [33334, 45918, 243, 21990, 9080, 33334, 62004, 16556, 78699]),
    ],
)
def test_known_tokens(text: str, expected: list[int]) -> None:
    assert whole().encode_ordinary(text) == expected
    assert tokenize(text).count == count(text) == len(expected)


def test_control_tokens_are_plain_text() -> None:
    assert count("<|endoftext|>") == 7
    assert count("a<|fim_prefix|>b") > 3


def test_cuts_lie_on_characters_and_cover_the_text() -> None:
    grid = tokenize(MIXED)
    cuts = [grid.cut(token) for token in range(grid.count + 1)]
    assert cuts[0] == 0
    assert cuts[-1] == len(MIXED)
    assert cuts == sorted(cuts)
    read = 0
    for token, number in enumerate(whole().encode_ordinary(MIXED)):
        before = MIXED.encode()[:read].decode(errors="ignore")
        assert cuts[token] == len(before)
        read += len(whole().decode_single_token_bytes(number))


def test_pieces_have_the_tokens_of_the_whole() -> None:
    text = "".join(
        RANDOM.choice((MIXED, "plain words and 1234567 numbers; ", "  \n ", "'s, don't ")) for _ in range(40_000)
    )
    assert len(text) > 5 * tokens._LONGEST_PIECE
    expected = whole().encode_ordinary(text)
    assert count(text) == len(expected)
    grid = tokenize(text)
    octets = whole().decode(expected[: grid.count // 2])
    assert abs(grid.cut(grid.count // 2) - len(octets)) <= 1


@pytest.mark.parametrize(
    "alphabet", ["a", " ", "\n", "=", string.ascii_letters, string.punctuation, string.digits, "漢字", "🎉"]
)
def test_a_megabyte_without_an_end_of_a_word(alphabet: str) -> None:
    text = "".join(RANDOM.choices(alphabet, k=1_000_000))
    started = time.thread_time()
    grid = tokenize(text)
    assert time.thread_time() - started < 5
    assert grid.cut(grid.count) == len(text)
    assert 0 < grid.cut(grid.count // 2) < len(text)


def test_lone_surrogates_are_counted() -> None:
    text = "before \ud83d after"
    grid = tokenize(text)
    assert grid.count == count(text) == count("before ? after")
    assert grid.cut(grid.count) == len(text)


def test_five_million_tokens_do_not_stall_other_threads() -> None:
    text = "The quick brown fox jumps över the lazy dog; 42 times, again.\n" * 330_000
    tokenize("")
    longest = 0.0
    done = threading.Event()

    def watch() -> None:
        nonlocal longest
        last = time.perf_counter()
        while not done.wait(0.001):
            now = time.perf_counter()
            longest = max(longest, now - last)
            last = now

    watcher = threading.Thread(target=watch)
    watcher.start()
    started = time.thread_time()
    grid = tokenize(text)
    spent = time.thread_time() - started
    done.set()
    watcher.join()
    assert grid.count > 5_000_000
    assert spent < 10
    assert longest < 0.25


def test_neither_network_nor_cache_is_touched(tmp_path: Path) -> None:
    program = (
        "import sys, socket\n"
        "def refuse(event, args):\n"
        "    if event in ('socket.connect', 'socket.getaddrinfo'): raise SystemExit(event)\n"
        "sys.addaudithook(refuse)\n"
        "from understudy_retrieval.tokens import count\n"
        "print(count('hello world'))"
    )
    result = subprocess.run(
        [sys.executable, "-c", program],
        env={"TIKTOKEN_CACHE_DIR": str(tmp_path / "cache"), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.strip() == "2"
    assert list(tmp_path.iterdir()) == []
