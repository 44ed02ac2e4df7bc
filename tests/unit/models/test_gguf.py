import os
import random
import struct
import time
from pathlib import Path

import pytest

from app.domain.errors import ModelError
from app.models.gguf import GgufHeader, read_header
from tests.fakes.tiny_gguf import (
    I32,
    Q4_1,
    Q8_0,
    UINT32,
    TensorData,
    Typed,
    gguf_bytes,
    llama_metadata,
    llama_tensors,
    write_tiny_gguf,
)

WHOLE = gguf_bytes(llama_metadata(), llama_tensors())


def refusal(path: Path) -> ModelError:
    with pytest.raises(ModelError) as caught:
        read_header(path)
    return caught.value


def test_reads_every_figure(tmp_path: Path) -> None:
    header = read_header(write_tiny_gguf(tmp_path / "tiny.gguf"))
    tensors = llama_tensors()
    per_layer = sum(t.n_bytes for t in tensors if t.name.startswith("blk.0."))
    assert header == GgufHeader(
        path=tmp_path / "tiny.gguf",
        architecture="llama",
        name="Tiny",
        quant="F32",
        n_ctx_train=256,
        n_layers=2,
        n_embd=32,
        n_ff=64,
        n_head=4,
        n_head_kv=2,
        n_embd_head_k=8,
        n_embd_head_v=8,
        n_vocab=64,
        n_params=sum(t.n_bytes for t in tensors) // 4,
        size_bytes=len(WHOLE),
        layer_bytes=(per_layer, per_layer),
        other_bytes=sum(t.n_bytes for t in tensors) - 2 * per_layer,
        output_bytes=32 * 4 + 64 * 32 * 4,
        tied=True,
        pass_bytes=2 * per_layer + 32 * 4 + 64 * 32 * 4,
    )


def test_a_pass_reads_only_the_experts_in_use(tmp_path: Path) -> None:
    metadata = llama_metadata() | {"llama.expert_count": 8, "llama.expert_used_count": 2}
    experts = [TensorData(f"blk.0.ffn_{name}_exps.weight", (32, 64, 8)) for name in ("up", "gate", "down")]
    path = tmp_path / "moe.gguf"
    path.write_bytes(gguf_bytes(metadata, [*llama_tensors(), *experts]))
    header, dense = read_header(path), read_header(write_tiny_gguf(tmp_path / "tiny.gguf"))
    assert header.pass_bytes == dense.pass_bytes + 3 * 32 * 64 * 4 * 2


def test_version_2_and_other_alignment(tmp_path: Path) -> None:
    path = tmp_path / "v2.gguf"
    metadata = llama_metadata() | {"general.alignment": 64}
    path.write_bytes(gguf_bytes(metadata, llama_tensors(), version=2, alignment=64))
    assert read_header(path).n_layers == 2


@pytest.mark.parametrize(("kind", "quant"), [(Q4_1, "Q4_1"), (Q8_0, "Q8_0")])
def test_quant_falls_back_to_the_weights(tmp_path: Path, kind: int, quant: str) -> None:
    path = tmp_path / "x.gguf"
    metadata = {key: value for key, value in llama_metadata().items() if key != "general.file_type"}
    path.write_bytes(gguf_bytes(metadata, llama_tensors(kind=kind)))
    assert read_header(path).quant == quant


def test_heads_of_each_layer(tmp_path: Path) -> None:
    changes = {"llama.attention.head_count_kv": Typed(UINT32, [1, 2])}
    assert read_header(write_tiny_gguf(tmp_path / "x.gguf", **changes)).n_head_kv == 2


def test_no_template_no_name(tmp_path: Path) -> None:
    changes = {"tokenizer.chat_template": None, "general.name": None}
    header = read_header(write_tiny_gguf(tmp_path / "plain.gguf", **changes))
    assert header.name == "plain"


def test_names_of_the_file_are_made_safe(tmp_path: Path) -> None:
    header = read_header(write_tiny_gguf(tmp_path / "x.gguf", **{"general.name": "a\x1b]52;c;x\x07b"}))
    assert "\x1b" not in header.name
    assert header.name.startswith("a␛]52")


def test_missing_folder_empty_and_other_files(tmp_path: Path) -> None:
    assert "does not exist" in str(refusal(tmp_path / "no.gguf"))
    folder = refusal(tmp_path)
    assert "is a folder" in str(folder)
    assert "models_dir" in folder.hint
    empty = tmp_path / "empty.gguf"
    empty.touch()
    assert "is empty" in str(refusal(empty))
    text = tmp_path / "page.gguf"
    text.write_text("<!doctype html><title>404</title>")
    assert "is not a GGUF file" in str(refusal(text))
    assert "cannot be read" in str(refusal(Path("a\0b")))
    fifo = tmp_path / "fifo.gguf"
    os.mkfifo(fifo)
    assert "not a regular file" in str(refusal(fifo))


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_unreadable(tmp_path: Path) -> None:
    path = write_tiny_gguf(tmp_path / "x.gguf")
    path.chmod(0)
    assert "Permission denied" in str(refusal(path))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"general.architecture": None}, "has no architecture"),
        ({"general.architecture": "clip"}, "not a language model"),
        ({"general.type": "adapter"}, "not a language model"),
        ({"llama.context_length": None}, "no usable `llama.context_length`"),
        ({"llama.context_length": "long"}, "no usable `llama.context_length`"),
        ({"llama.block_count": 4_000_000_000}, "claims 4,000,000,000 layers"),
        ({"llama.block_count": 0}, "claims 0 layers"),
        ({"llama.block_count": 513}, "claims 513 layers"),
        ({"llama.expert_count": 8}, "claims to use 0 of 8 experts"),
        ({"llama.expert_used_count": 2}, "claims to use 2 of 0 experts"),
        ({"llama.expert_count": 8, "llama.expert_used_count": Typed(UINT32, [2, 9])}, "claims to use 9 of 8 experts"),
        ({"llama.expert_count": 1025, "llama.expert_used_count": 2}, "claims to use 2 of 1,025 experts"),
        ({"llama.rope.scaling.type": "x"}, "RoPE scaling is unknown"),
        ({"llama.attention.layer_norm_rms_epsilon": -1.0}, "layer_norm_rms_epsilon is out of range"),
        ({"llama.attention.layer_norm_rms_epsilon": float("nan")}, "layer_norm_rms_epsilon is out of range"),
        ({"tokenizer.ggml.tokens": ["a", "b", "a", "b", "a"]}, "its vocabulary has 3 tokens twice"),
        ({"general.alignment": 48}, "alignment is not a power of two"),
        ({"general.alignment": 0}, "alignment is not a power of two"),
    ],
)
def test_refuses_senseless_metadata(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    assert message in str(refusal(write_tiny_gguf(tmp_path / "x.gguf", **changes)))


@pytest.mark.parametrize(
    ("offset", "raw", "message"),
    [
        (4, struct.pack("<I", 1), "version 1"),
        (4, struct.pack("<I", 9), "version 9"),
        (4, struct.pack(">I", 3), "big-endian"),
        (8, struct.pack("<Q", 1 << 62), "tensors"),
        (16, struct.pack("<Q", 1 << 62), "metadata keys"),
        (24, struct.pack("<Q", 1 << 62), "name of"),
        (24, struct.pack("<Q", 0), "name of 0"),
    ],
)
def test_refuses_absurd_counts(tmp_path: Path, offset: int, raw: bytes, message: str) -> None:
    path = tmp_path / "x.gguf"
    path.write_bytes(WHOLE[:offset] + raw + WHOLE[offset + len(raw) :])
    assert message in str(refusal(path))


def test_refuses_bad_tensors(tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    for tensors, message in [
        ([TensorData("a", (4,)), TensorData("a", (4,))], "comes twice"),
        ([TensorData("a", (2,) * 5)], "5 dimensions"),
        ([TensorData("a", (33,), Q8_0, b"")], "impossible shape"),
        ([TensorData("a", (1 << 40, 1 << 40), data=b"")], "impossible shape"),
        ([TensorData("a", (1 << 40,), data=b"")], "incomplete: have"),
        ([TensorData("a", (64,), data=b"x" * 300), TensorData("b", (1,))], "do not follow each other"),
        ([], "has no weights"),
        ([TensorData("output_norm.weight", (32,), Q8_0)], "has weights of type Q8_0 where"),
        ([TensorData("blk.0.attn_q.weight", (32, 32), I32)], "has weights of type I32 where"),
    ]:
        path.write_bytes(gguf_bytes(llama_metadata(), tensors))
        assert message in str(refusal(path))


def test_what_real_files_have_is_no_damage(tmp_path: Path) -> None:
    changes = {
        "llama.expert_count": 8,
        "llama.expert_used_count": Typed(UINT32, [0, 2]),
        "llama.rope.scaling.type": "yarn",
        "tokenizer.ggml.tokens": ["", "a", "", "b", ""],
    }
    tensors = [*llama_tensors(), TensorData("blk.0.ffn_gate_tid2eid.weight", (64,), I32)]
    path = tmp_path / "x.gguf"
    path.write_bytes(gguf_bytes(llama_metadata() | changes, tensors))
    assert read_header(path).n_vocab == 5


def test_incomplete_says_how_much_is_there(tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    end = len(WHOLE)  # the last tensor fills its alignment
    path.write_bytes(WHOLE[:-1000])
    error = refusal(path)
    assert f"is incomplete: have {end - 1000:,} of {end:,} bytes" in str(error)
    assert error.hint


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    for offset in range(0, len(WHOLE), max(1, len(WHOLE) // 150)):
        path.write_bytes(WHOLE[:offset])
        refusal(path)


def test_damaged_headers_give_a_header_or_a_model_error(tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    draw = random.Random(7)
    n_head = len(WHOLE) - sum(t.n_bytes for t in llama_tensors())
    began = time.process_time()
    n_refused = 0
    for _ in range(1500):
        raw = bytearray(WHOLE)
        for _ in range(draw.choice((1, 1, 4))):
            at = draw.randrange(n_head)
            raw[at] ^= 1 << draw.randrange(8)
            if draw.random() < 0.2:
                raw[at : at + 8] = draw.randbytes(8)
        path.write_bytes(raw)
        try:
            read_header(path)
        except ModelError:
            n_refused += 1
    assert n_refused > 500
    assert time.process_time() - began < 15


def test_a_huge_count_of_empty_strings_is_not_slow(tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    metadata = llama_metadata() | {"tokenizer.ggml.tokens": ["x"]}
    raw = gguf_bytes(metadata, llama_tensors())
    one = struct.pack("<IIQ", 9, 8, 1)
    with path.open("wb") as file:
        file.write(raw.replace(one, struct.pack("<IIQ", 9, 8, 1 << 40)))
        file.truncate(1 << 33)  # sparse: the count would fit the file
    began = time.process_time()
    assert "values in one array" in str(refusal(path))
    assert time.process_time() - began < 0.5


@pytest.mark.model
def test_smollm2() -> None:
    from app.config.catalogue import load_catalogue
    from app.models.locate import locate

    path = locate("smollm2", load_catalogue(), None).path
    began = time.process_time()
    header = read_header(path)
    assert time.process_time() - began < 0.2  # about 0.03
    assert (header.architecture, header.quant, header.n_ctx_train) == ("llama", "Q4_1", 8192)
    assert (header.n_layers, header.n_embd, header.n_head, header.n_head_kv, header.n_vocab) == (30, 576, 9, 3, 49152)
    assert (header.n_params, header.size_bytes) == (134_515_008, 98_362_432)
