from pathlib import Path

import pytest

from app.domain.errors import ModelError
from app.models.gguf import read_header
from app.models.shards import is_later_part, model_name
from tests.fakes.tiny_gguf import gguf_bytes, llama_metadata, llama_tensors

FIRST, SECOND = "big-00001-of-00002.gguf", "big-00002-of-00002.gguf"


@pytest.fixture
def split(tmp_path: Path) -> Path:
    tensors = llama_tensors()
    tmp_path.joinpath(FIRST).write_bytes(gguf_bytes(llama_metadata() | {"split.count": 2, "split.no": 0}, tensors[:5]))
    tmp_path.joinpath(SECOND).write_bytes(gguf_bytes({"split.count": 2, "split.no": 1}, tensors[5:]))
    return tmp_path


def test_parts_are_added_up(split: Path) -> None:
    header = read_header(split / FIRST)
    assert header.n_params == sum(t.n_bytes for t in llama_tensors()) // 4
    assert header.size_bytes == sum(path.stat().st_size for path in split.iterdir())
    assert header.layer_bytes[0] == header.layer_bytes[1] > 0


def test_a_later_part_is_refused_and_names_the_first(split: Path) -> None:
    raw = gguf_bytes(llama_metadata() | {"split.count": 2}, llama_tensors()[5:])
    split.joinpath(SECOND).write_bytes(raw)
    with pytest.raises(ModelError, match="later part") as caught:
        read_header(split / SECOND)
    assert FIRST in caught.value.hint


def test_a_missing_part_is_named(split: Path) -> None:
    split.joinpath(SECOND).unlink()
    with pytest.raises(ModelError, match="1 of its 2 parts are missing") as caught:
        read_header(split / FIRST)
    assert SECOND in caught.value.hint


def test_a_truncated_part_is_found(split: Path) -> None:
    second = split / SECOND
    second.write_bytes(second.read_bytes()[:-500])
    with pytest.raises(ModelError, match=r"00002-of-00002\.gguf is incomplete"):
        read_header(split / FIRST)


def test_a_renamed_part_is_refused(split: Path) -> None:
    split.joinpath(FIRST).rename(split / "renamed.gguf")
    with pytest.raises(ModelError, match="its name does not say so"):
        read_header(split / "renamed.gguf")


def test_names() -> None:
    assert model_name(Path("x/big-00001-of-00002.gguf")) == "big"
    assert model_name(Path("x/small.Q4_1.gguf")) == "small.Q4_1"
    assert is_later_part(Path(SECOND))
    assert not is_later_part(Path(FIRST))
    assert not is_later_part(Path("small.gguf"))
