"""The native layer on the real model: true figures, samplers that equal llama.cpp's own, refusals that hold."""

from __future__ import annotations

import ctypes
import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from llama_cpp import llama_cpp as C

from app.domain.generation import FinishReason
from app.domain.model import LoadOptions
from app.domain.sampling import SamplingParams
from app.engine.core.backend import Decoded, SamplingError
from app.engine.core.events import Sampled
from app.engine.core.scheduler import Scheduler
from app.engine.core.sequence import Sequence
from app.engine.native.context import NativeContext
from app.engine.native.loader import LoadedModel, describe, load
from app.engine.native.model import LoadCancelled, LoadError

pytestmark = pytest.mark.model

CHAINS = {
    "default": SamplingParams(seed=5),
    "greedy": SamplingParams(temperature=0),
    "greedy penalised": SamplingParams(temperature=0, repeat_penalty=1.3, frequency_penalty=0.4),
    "balanced": SamplingParams(seed=6, min_p=0.1, repeat_penalty=1.1),
    "dry": SamplingParams(seed=7, dry_multiplier=0.8, dry_sequence_breakers=("\n",)),
    "rewarded": SamplingParams(seed=8, presence_penalty=-1.5, repeat_penalty=0.8, top_k=5),
    "typical and xtc": SamplingParams(seed=9, typical_p=0.7, xtc_probability=0.5),
    "sigma": SamplingParams(seed=10, top_n_sigma=1.0),
    "no top-k": SamplingParams(seed=11, top_k=0, top_p=0.8),
    "hot": SamplingParams(seed=12, temperature=3.0, top_k=200, top_p=1.0, min_p=0.0),
}


@pytest.mark.parametrize("name", CHAINS)
def test_a_chain_chooses_what_llama_cpp_chooses(loaded: LoadedModel, name: str) -> None:
    """Against llama_sampler_apply on the whole vocabulary, over a history that repeats itself."""
    rng = np.random.default_rng(4)
    mine = loaded.context.sampler(CHAINS[name])
    reference = loaded.context.sampler(CHAINS[name])
    history = [int(token) for token in rng.integers(0, 400, 90)] * 2
    mine.accept(history)
    reference.accept(history)
    rows = np.zeros(loaded.context.n_vocab, np.dtype([("id", "<i4"), ("logit", "<f4"), ("p", "<f4")]))
    for _ in range(40):
        logits = (rng.standard_normal(loaded.context.n_vocab) * 4).astype(np.float32)
        logits[rng.integers(0, 400, 60)] += 9.0
        rows["id"], rows["logit"], rows["p"] = np.arange(len(rows)), logits, 0
        array = C.llama_token_data_array(rows.ctypes.data_as(C.llama_token_data_p), len(rows), -1, False)
        C.llama_sampler_apply(reference._chain, ctypes.byref(array))
        expected = int(array.data[array.selected].id)
        C.llama_sampler_accept(reference._chain, expected)
        assert mine.sample(logits) == expected
    mine.close()
    reference.close()


def test_the_account_of_the_model_is_true(loaded: LoadedModel, smollm2: Path) -> None:
    ready = describe(loaded, str(smollm2), 1.0)
    native = ready.native
    assert (native.architecture, native.quant, native.n_vocab, ready.n_ctx) == ("llama", "Q4_1", 49152, 1024)
    assert native.n_params == 134_515_008
    assert native.kv_bytes == 2 * 1024 * 30 * (192 + 192) * 2  # slots × cells × layers × (K and V width) × f16
    assert sum(on.n_layers for on in native.placement) == native.n_layers == 31


def test_probabilities_are_those_of_an_exact_softmax(loaded: LoadedModel, context: NativeContext) -> None:
    scheduler = Scheduler(context)
    ids = loaded.model.vocab.tokenize(b"The capital of France is")
    scheduler.submit(Sequence(1, ids, SamplingParams(temperature=0, max_tokens=1), 10, 0.0))
    sampled = next(h for h in scheduler.step() if isinstance(h, Sampled))
    logits = context.logits(len(ids) - 1).astype(np.float64)
    exact = np.exp(logits - logits.max())
    exact /= exact.sum()
    assert sampled.measured.top[0][0] == int(logits.argmax()) == sampled.token
    for token, p in sampled.measured.top:
        assert p == pytest.approx(exact[token], abs=1e-5)
    assert loaded.model.vocab.pieces[sampled.token] == b" Paris"


def test_cached_and_fresh_prefill_agree(loaded: LoadedModel, context: NativeContext) -> None:
    scheduler = Scheduler(context)
    ids = loaded.model.vocab.tokenize(b"One two three four five six seven eight nine ten eleven")
    replies = []
    for request_id in (1, 2):
        sequence = Sequence(request_id, ids, SamplingParams(temperature=0, max_tokens=8), 0, 0.0)
        scheduler.submit(sequence)
        while not scheduler.idle:
            scheduler.step()
        replies.append((sequence.cache.n_cached, sequence.generated))
    assert replies[1][0] == len(ids) - 1
    assert replies[0][1] == replies[1][1]
    assert scheduler.check_integrity() == []


def test_an_abort_inside_a_prefill_keeps_the_account_straight(context: NativeContext) -> None:
    scheduler = Scheduler(context)
    sequence = Sequence(1, list(range(100, 900)), SamplingParams(max_tokens=1), 0, 0.0)
    scheduler.submit(sequence)
    context.raise_abort()  # seen at the first graph node of the decode
    scheduler.step()
    assert scheduler.check_integrity() == []
    sequence.finish(FinishReason.ABORT)
    scheduler.step()
    assert sequence.finish_reason is FinishReason.ABORT


def test_a_raised_flag_aborts_a_decode(context: NativeContext) -> None:
    context.batch.clear()
    context.batch.add(list(range(100, 400)), 0, 0, 1)
    context.raise_abort()
    assert context.decode() is Decoded.ABORTED
    context.clear_abort()
    context.clear(0)


def test_what_would_abort_the_process_is_refused(context: NativeContext) -> None:
    batch = context.batch
    batch.clear()
    with pytest.raises(ValueError, match="do not fit"):
        batch.add([1] * (batch.capacity + 1), 0, 0, 0)
    with pytest.raises(ValueError, match="do not fit"):
        batch.add([1] * 100, 0, 0, batch.max_outputs + 1)
    with pytest.raises(ValueError, match="sequence 2 of 2"):
        context.truncate(2, 0)
    with pytest.raises(ValueError, match="empty"):
        context.decode()
    batch.add([1, 2], 0, 0, 1)
    assert context.decode() is Decoded.DONE
    with pytest.raises(IndexError):
        context.logits(0)
    context.clear(0)


def test_quantised_kv_is_smaller(loaded: LoadedModel) -> None:
    options = LoadOptions(kv_type="q8_0", n_slots=1, flash_attn="on")  # type: ignore[arg-type]
    context = NativeContext(loaded.model, options, 1024)
    assert context.kv_bytes < loaded.context.kv_bytes / 3
    context.close()


def test_a_load_can_be_cancelled(smollm2: Path) -> None:
    with pytest.raises(LoadCancelled):
        load(str(smollm2), LoadOptions(n_ctx=512), lambda fraction: fraction < 0.3)


def test_a_file_that_is_no_model_is_an_error_with_llama_cpps_reason(tmp_path: Path) -> None:
    path = tmp_path / "no.gguf"
    path.write_bytes(b"GGUF\x03\x00\x00\x00" + b"\xff" * 200)
    with pytest.raises(LoadError):
        load(str(path), LoadOptions(), lambda fraction: True)


def test_long_runs_do_not_overflow_the_tokenizer(loaded: LoadedModel) -> None:
    assert sum(len(loaded.model.vocab.pieces[i]) for i in loaded.model.vocab.tokenize(b"=" * 60_000)) == 60_000


NEW_CHAINS = {
    "dynamic temperature": SamplingParams(seed=3, dynatemp_range=0.5, top_k=0),
    "adaptive-p": SamplingParams(seed=3, adaptive_target=0.3),
    "mirostat 1": SamplingParams(seed=3, mirostat=1),
    "mirostat 2": SamplingParams(seed=3, mirostat=2),
    "temperature first": SamplingParams(seed=3, temperature=1.5, samplers=("temperature", "top-k", "min-p")),
    "min-p first": SamplingParams(seed=3, samplers=("min-p", "top-k", "temperature")),
    "biased": SamplingParams(seed=3, logit_bias={"#20": 30.0, "#21": 29.0}, ban=("#22",)),
}


@pytest.mark.parametrize("name", NEW_CHAINS)
def test_every_other_stage_runs_the_same_watched_or_not(loaded: LoadedModel, name: str) -> None:
    """The watched chain runs stage by stage on the whole vocabulary, the other on the candidates that matter."""
    rng = np.random.default_rng(8)
    fast, watched = loaded.context.sampler(NEW_CHAINS[name]), loaded.context.sampler(NEW_CHAINS[name])
    for step in range(30):
        logits = (rng.standard_normal(loaded.context.n_vocab) * 4).astype(np.float32)
        best = np.argsort(-logits)[:10].tolist()
        assert fast.sample(logits) == watched.sample(logits, best if step % 3 else None)
    fast.close()
    watched.close()


def test_a_ban_and_a_bias_reach_their_tokens(loaded: LoadedModel) -> None:
    logits = np.zeros(loaded.context.n_vocab, np.float32)
    logits[[20, 21, 22]] = 5.0, 6.0, 7.0
    sampler = loaded.context.sampler(SamplingParams(temperature=0, ban=("#22",), logit_bias={"#20": 1.5}))
    assert sampler.sample(logits) == 20
    sampler.close()


@pytest.mark.parametrize("name", ["#49152", "#999999999"])
def test_a_token_that_does_not_exist_is_refused(loaded: LoadedModel, name: str) -> None:
    with pytest.raises(SamplingError, match="49152"):
        loaded.context.sampler(SamplingParams(ban=(name,)))


def test_the_stage_report_accounts_for_every_candidate(loaded: LoadedModel) -> None:
    params = SamplingParams(seed=42, top_k=40, top_p=0.9, min_p=0.05, repeat_penalty=1.1)
    sampler, rng = loaded.context.sampler(params), np.random.default_rng(1)
    for step in range(20):
        logits = (rng.standard_normal(loaded.context.n_vocab) * 3).astype(np.float32)
        best = np.argsort(-logits)[:10].tolist()
        if step in (3, 4, 9):  # the twin of the random generator must keep step when nobody looks
            sampler.sample(logits)
            continue
        sampler.sample(logits, best)
        report = sampler.report
        names = [stage.name for stage in report.stages]
        assert names == ["penalties", "top-k", "top-p", "min-p", "temperature", "dist"]
        assert [report.stages[0].n_in, report.stages[1].n_out] == [49152, 40]
        for one, two in pairwise(report.stages):
            assert two.n_in == one.n_out >= two.n_out
        assert sum(report.stages[-1].p) <= 1.0 + 1e-6
        assert report.draw is not None
        assert report.draw.low <= report.draw.u <= report.draw.high
    sampler.close()


YES_NO = 'root ::= "yes" | "no"'


def test_what_a_grammar_took_away_is_a_stage_of_its_own(loaded: LoadedModel) -> None:
    logits = np.zeros(loaded.context.n_vocab, np.float32)
    (yes,), (no,), (rain,) = (loaded.model.vocab.tokenize(text) for text in (b"yes", b"no", b" rain"))
    logits[[rain, yes, no]] = 20.0, 12.0, 12.0
    sampler = loaded.context.sampler(SamplingParams(seed=1, grammar=YES_NO, top_k=40, repeat_penalty=1.1))
    assert sampler.sample(logits, [rain, yes, no]) in (yes, no)
    assert sampler.redirected
    grammar, *stages = sampler.report.stages
    assert (grammar.name, grammar.n_in) == ("grammar", 49152)
    assert grammar.n_out < 10
    assert grammar.p == pytest.approx((0.0, 0.5, 0.5), abs=1e-4)
    assert [stage.name for stage in stages] == ["penalties", "top-k", "top-p", "min-p", "temperature", "dist"]
    assert {stages[0].n_in, stages[0].n_out} == {grammar.n_out}
    for one, two in pairwise(stages):
        assert two.n_in == one.n_out >= two.n_out
    sampler.close()


def generate(
    context: NativeContext, loaded: LoadedModel, prompt: bytes, params: SamplingParams
) -> tuple[Sequence, str]:
    for seq_id in range(context.n_slots):
        context.clear(seq_id)
    scheduler = Scheduler(context)
    sequence = Sequence(1, loaded.model.vocab.tokenize(prompt), params, 0, 0.0)
    scheduler.submit(sequence)
    while not scheduler.idle:
        scheduler.step()
    return sequence, b"".join(loaded.model.vocab.pieces[i] for i in sequence.generated).decode()


def test_a_grammar_that_allows_nothing_is_refused(context: NativeContext) -> None:
    with pytest.raises(SamplingError, match="the grammar cannot be used: it allows no text"):
        context.sampler(SamplingParams(grammar='root ::= "a" [^\\x00-\\U0010FFFF]'))


def test_a_reply_cannot_leave_its_grammar(context: NativeContext, loaded: LoadedModel) -> None:
    for seed in range(5):
        params = SamplingParams(seed=seed, grammar=YES_NO, max_tokens=20)
        sequence, text = generate(context, loaded, b"Is the sky blue?", params)
        assert text in ("yes", "no")
        assert sequence.finish_reason is FinishReason.STOP


def test_a_reply_follows_a_json_schema(context: NativeContext, loaded: LoadedModel) -> None:
    schema = {
        "type": "object",
        "properties": {"name": {"enum": ["Ann", "Bob"]}, "age": {"type": "integer", "minimum": 1, "maximum": 99}},
        "required": ["name", "age"],
        "additionalProperties": False,
    }
    params = SamplingParams(seed=2, json_schema=json.dumps(schema), max_tokens=60)
    _, text = generate(context, loaded, b"A person as JSON:", params)
    value = json.loads(text)
    assert set(value) == {"name", "age"}
    assert value["name"] in ("Ann", "Bob")
    assert 1 <= value["age"] <= 99


@pytest.mark.parametrize(
    ("params", "says"),
    [
        (SamplingParams(grammar='root ::= "a"\nother = "b"'), "line 2, column 7"),
        (SamplingParams(grammar='root ::= ("a"'), "line 1, column 10"),
        (SamplingParams(grammar="root ::= missing"), "line 1, column 10: there is no rule named missing"),
        (SamplingParams(grammar="root ::= " + "(" * 500_000), "nested deeper"),
        (SamplingParams(regex="(a"), "at character 1: this group is not closed"),
        (SamplingParams(grammar='root ::= "a"{3,1}'), "the minimum of 3 exceeds the maximum of 1"),
        (SamplingParams(grammar='start ::= "a"'), "root"),
        (SamplingParams(json_schema='{"type": '), "line 1, column 10"),
        (
            SamplingParams(json_schema='{"properties": {"a": {"type": "nonsense"}}}'),
            "at /properties/a/type: unknown type 'nonsense'",
        ),
        (SamplingParams(grammar=YES_NO, json_schema="{}"), "json_schema and grammar exclude each other"),
    ],
)
def test_a_wrong_grammar_or_schema_is_reported_with_its_place(
    loaded: LoadedModel, params: SamplingParams, says: str
) -> None:
    with pytest.raises(SamplingError, match=says):
        loaded.context.sampler(params)


def test_a_schema_may_allow_anything(context: NativeContext, loaded: LoadedModel) -> None:
    params = SamplingParams(seed=1, json_schema='{"type": "array", "items": {}, "minItems": 1}', max_tokens=60)
    sequence, text = generate(context, loaded, b"A list as JSON:", params)
    assert sequence.error == ""
    assert text.startswith("[")


def test_exact_runs_give_the_same_text(context: NativeContext, loaded: LoadedModel) -> None:
    params = SamplingParams(seed=11, exact=True, max_tokens=24)
    texts = {generate(context, loaded, b"Once upon a time", params)[1] for _ in range(2)}
    assert len(texts) == 1


def test_a_branch_has_the_window_of_a_conversation(context: NativeContext) -> None:
    branches = context.sharing(4)
    assert (branches.unified, branches.n_slots, branches.n_ctx) == (True, 4, context.n_ctx)
    branches.reset()
    assert branches.n_ctx == context.n_ctx
    branches.close()
