"""The vocabulary of a synthetic model: byte-level BPE made here, or the one of another GGUF, copied byte by byte."""

from __future__ import annotations

import itertools
import mmap
import struct
from pathlib import Path

from app.models.ggml_types import ARRAY, STRING, VALUE_FORMATS
from tests.fakes.tiny_gguf import INT32, Typed

_NORMAL, _CONTROL, _UNUSED = 1, 3, 5
_LETTERS = "etaoinsrhldcumfpgwybvkxjqz"
CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def made(n_vocab: int) -> dict[str, object]:
    """Metadata of a byte-level BPE of `n_vocab` tokens: ChatML's tokens, all bytes, merges of letters, unused ones."""
    control = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    tokens = control + [_byte(value) for value in range(256)]
    if n_vocab < len(tokens):
        raise ValueError(f"a vocabulary needs at least {len(tokens)} tokens")
    kinds = [_CONTROL] * len(control) + [_NORMAL] * 256
    merges: list[str] = []
    for left, right in itertools.islice(_pairs(), n_vocab - len(tokens)):
        merges.append(f"{left} {right}")
        tokens.append(left + right)
        kinds.append(_NORMAL)
    n_unused = n_vocab - len(tokens)
    tokens += [f"<|unused_{i}|>" for i in range(n_unused)]
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": Typed(INT32, kinds + [_UNUSED] * n_unused),
        "tokenizer.ggml.merges": merges,
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.add_bos_token": False,
        "tokenizer.chat_template": CHATML,
    }


def _pairs() -> itertools.chain[tuple[str, str]]:
    """Merges in order: a blank and a letter, two letters, a blank and two letters, three letters."""
    blank, twos = "Ġ", [(a, b) for a in _LETTERS for b in _LETTERS]
    return itertools.chain(
        ((blank, a) for a in _LETTERS),
        twos,
        ((blank, a + b) for a, b in twos),
        ((a + b, c) for a, b in twos for c in _LETTERS),
    )


def _byte(value: int) -> str:
    """The letter that stands for a byte in GPT-2's vocabularies: itself where it can be printed."""
    if 33 <= value <= 126 or 161 <= value <= 172 or 174 <= value <= 255:
        return chr(value)
    unprinted = [n for n in range(256) if not (33 <= n <= 126 or 161 <= n <= 172 or 174 <= n <= 255)]
    return chr(256 + unprinted.index(value))


def copied(source: Path) -> tuple[dict[str, object], int]:
    """The tokenizer's metadata of a GGUF (one that holds nothing else will do), as raw values; and its n_vocab."""
    with source.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as raw:
        if raw[:4] != b"GGUF":
            raise ValueError(f"{source} is not a GGUF file")
        (n_keys,), at = struct.unpack_from("<Q", raw, 16), 24
        found: dict[str, object] = {}
        n_vocab = 0
        for _ in range(n_keys):
            key, start = _string(raw, at)
            at = _skip(raw, start)
            if key.startswith("tokenizer."):
                found[key] = raw[start:at]
            if key == "tokenizer.ggml.tokens":
                (n_vocab,) = struct.unpack_from("<Q", raw, start + 8)
    if not n_vocab:
        raise ValueError(f"{source} has no vocabulary")
    found.setdefault("tokenizer.chat_template", CHATML)
    return found, n_vocab


def _string(raw: mmap.mmap, at: int) -> tuple[str, int]:
    (n,) = struct.unpack_from("<Q", raw, at)
    return raw[at + 8 : at + 8 + n].decode(), at + 8 + n


def _skip(raw: mmap.mmap, at: int) -> int:
    """Returns where the value that begins with its type at `at` ends."""
    (kind,) = struct.unpack_from("<I", raw, at)
    if kind != ARRAY:
        return _skip_items(raw, at + 4, kind, 1)
    inner, n = struct.unpack_from("<IQ", raw, at + 4)
    return _skip_items(raw, at + 16, inner, n)


def _skip_items(raw: mmap.mmap, at: int, kind: int, n: int) -> int:
    if kind != STRING:
        return at + n * struct.calcsize(VALUE_FORMATS[kind])
    for _ in range(n):
        (length,) = struct.unpack_from("<Q", raw, at)
        at += 8 + length
    return at
