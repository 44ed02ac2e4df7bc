"""Small vocabularies whose pieces are not always the text: WordPiece, Unigram and SentencePiece, as GGUF metadata."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.fakes.tiny_gguf import FLOAT32, INT32, Typed, gguf_head, llama_metadata

_NORMAL, _UNKNOWN, _CONTROL, _BYTE = 1, 2, 3, 6
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789,.!?'-éあ"
_WORDS = ("the", "hello", "world", "cafe", "two", "ing", "er")


def wordpiece() -> dict[str, object]:
    """Words begin with U+2581; pieces inside a word do not."""
    control = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    letters = [letter for letter in _LETTERS if letter != "é"]
    tokens = [*control, *(f"\u2581{each}" for each in (*letters, *_WORDS)), *letters, *_WORDS]
    ids = {"unknown": 1, "bos": 2, "eos": 3, "seperator": 3, "cls": 2, "mask": 4, "padding": 0}
    kinds = [_CONTROL, _UNKNOWN, *[_CONTROL] * 3] + [_NORMAL] * (len(tokens) - len(control))
    return _metadata("bert", tokens, kinds) | {f"tokenizer.ggml.{name}_token_id": token for name, token in ids.items()}


def unigram() -> dict[str, object]:
    """Merges white space and puts a blank in front; it has no bytes, so that what it does not know is unknown."""
    tokens = ["<pad>", "</s>", "<unk>", "\u2581", *_LETTERS, *_WORDS, *(f"\u2581{word}" for word in _WORDS)]
    kinds = [_CONTROL, _CONTROL, _UNKNOWN] + [_NORMAL] * (len(tokens) - 3)
    return _metadata("t5", tokens, kinds) | {
        "tokenizer.ggml.eos_token_id": 1,
        "tokenizer.ggml.unknown_token_id": 2,
        "tokenizer.ggml.padding_token_id": 0,
        "tokenizer.ggml.add_space_prefix": True,
        "tokenizer.ggml.remove_extra_whitespaces": True,
    }


def sentencepiece() -> dict[str, object]:
    """Escapes blanks and falls back to bytes."""
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{value:02X}>" for value in range(256))]
    kinds = [_UNKNOWN, _CONTROL, _CONTROL] + [_BYTE] * 256
    words = ["\u2581", *_LETTERS, *_WORDS, *(f"\u2581{word}" for word in _WORDS)]
    return _metadata("llama", tokens + words, kinds + [_NORMAL] * len(words)) | {
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.unknown_token_id": 0,
    }


def _metadata(model: str, tokens: Sequence[str], kinds: Sequence[int]) -> dict[str, object]:
    return {
        "tokenizer.ggml.model": model,
        "tokenizer.ggml.tokens": list(tokens),
        "tokenizer.ggml.token_type": Typed(INT32, list(kinds)),
        "tokenizer.ggml.scores": Typed(FLOAT32, [float(len(token)) - 20 for token in tokens]),
    }


def write_vocabulary(path: Path, words: dict[str, object]) -> Path:
    """Writes a GGUF that holds a vocabulary and no weights, and returns its path."""
    keys = {key: value for key, value in llama_metadata().items() if not key.startswith("tokenizer.")}
    path.write_bytes(gguf_head(keys | words, []))
    return path
