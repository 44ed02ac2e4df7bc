"""The hash of a model: true, remembered, and computed anew when the file has changed."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from app.cli.trace.digest import Digest, model_digest
from app.config.paths import cache_dir
from app.domain.errors import ModelError


def digest_of(path: Path, *, stop: bool = False) -> tuple[Digest, list[int]]:
    read: list[int] = []
    return model_digest(path, begin=read.append, stopped=lambda: stop), read


def test_it_is_that_of_the_file_and_read_once(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(b"weights")
    first, read = digest_of(path)
    assert (first.sha256, first.n_bytes, read) == (hashlib.sha256(b"weights").hexdigest(), 7, [7])
    assert digest_of(path) == (first, [])


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(b"weights")
    before = path.stat()
    digest_of(path)
    path.write_bytes(b"WEIGHTS")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    again, read = digest_of(path)
    assert (again.sha256, read) == (hashlib.sha256(b"WEIGHTS").hexdigest(), [7])


def test_all_parts_of_a_split_model_count(tmp_path: Path) -> None:
    for part, data in enumerate((b"one", b"two"), 1):
        (tmp_path / f"m-0000{part}-of-00002.gguf").write_bytes(data)
    digest, _ = digest_of(tmp_path / "m-00001-of-00002.gguf")
    assert (digest.sha256, digest.n_bytes) == (hashlib.sha256(b"onetwo").hexdigest(), 6)


def test_a_damaged_cache_and_one_that_cannot_be_written_are_no_error(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(b"weights")
    cache_dir().mkdir(parents=True)
    (cache_dir() / "model-hashes.json").write_text("{oops")
    assert digest_of(path)[1] == [7]
    (cache_dir() / "model-hashes.json").unlink()
    (cache_dir() / "model-hashes.json").mkdir()
    assert digest_of(path)[1] == [7]


def test_it_can_be_given_up(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(b"weights")
    with pytest.raises(ModelError, match="interrupted"):
        digest_of(path, stop=True)
    assert digest_of(path)[1] == [7]
    with pytest.raises(ModelError, match="cannot read"):
        digest_of(tmp_path / "no.gguf")
