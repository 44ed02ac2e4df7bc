"""Scores, predictions and tokens of the real model are true."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from app.client.connection import Graces
from app.client.worker_client import WorkerClient
from app.domain.conversation import Role
from app.domain.generation import FinishReason
from app.domain.model import LoadOptions
from app.domain.sampling import SamplingParams
from app.domain.trace import Prediction, TokenTrace
from app.engine.core.scheduler import Scheduler
from app.engine.core.scoring import ScoredId, Scoring
from app.engine.native.context import NativeContext
from app.engine.native.loader import LoadedModel
from app.protocol.commands import ChatMessage, Generate, LoadModel, Predict, Score, Tokenize
from app.protocol.events import GenerationFinished, GenerationStarted, Scored, ScoreFinished, TokensGenerated
from tests.process.streams import collect

pytestmark = pytest.mark.model

TEXT = (
    "The harbour was quiet. Nobody had seen the boat since October, when the first snow fell on the quay and the "
    "lamps were lit at three in the afternoon. She counted them: one, two, three, four. \U0001f642 Grüße, 東京!"
)
N_CTX = 24
HI = (ChatMessage(Role.USER, "Name three colours."),)


def softmax(logits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    weights = np.exp(logits - logits.max())
    return weights / weights.sum()


def run(context: NativeContext, tokens: list[int]) -> list[ScoredId]:
    scheduler, scoring = Scheduler(context), Scoring(context, tokens, None, N_CTX, 5)
    found: list[ScoredId] = []
    while not scoring.done:
        assert scoring.claim(scheduler.slots, scheduler.reuse)
        found += scoring.step()
    scoring.close(scheduler.slots)
    assert scheduler.check_integrity() == []
    return found


def test_each_token_has_the_p_the_rank_and_the_entropy_of_an_exact_softmax(
    loaded: LoadedModel, context: NativeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[npt.NDArray[np.float64]] = []
    logits = context.logits

    def watched(row: int) -> npt.NDArray[np.float32]:
        seen.append(logits(row).astype(np.float64))
        return logits(row)

    monkeypatch.setattr(context, "logits", watched)
    tokens = loaded.model.vocab.tokenize(TEXT.encode())
    assert len(tokens) > 2 * N_CTX
    found = run(context, tokens)
    assert [each.token for each in found] == tokens
    assert len(seen) == len(tokens) - 1
    for each, row in zip(found[1:], seen, strict=True):
        exact = softmax(row)
        p = exact[each.token]
        assert each.measured is not None
        assert each.measured.p == pytest.approx(p, abs=1e-5)
        assert each.measured.logprob == pytest.approx(math.log(p), abs=1e-5)
        assert each.measured.rank == 1 + int((row > row[each.token]).sum())
        assert each.measured.entropy == pytest.approx(-float((exact * np.log2(exact)).sum()), abs=1e-4)
        assert each.measured.top[0][0] == int(row.argmax())


def test_a_row_stands_for_the_tokens_before_it_in_its_window(loaded: LoadedModel, context: NativeContext) -> None:
    tokens = loaded.model.vocab.tokenize(TEXT.encode())[: N_CTX + 4]
    found = run(context, tokens)
    for index in (1, 5, N_CTX - 1, N_CTX, N_CTX + 3):
        before = tokens[index - N_CTX : index] if index == N_CTX else tokens[index - index % N_CTX : index]
        context.clear(0)
        context.batch.clear()
        row = context.batch.add(before, 0, 0, 1) + len(before) - 1
        context.decode()
        measured = found[index].measured
        assert measured is not None
        # Batches of another shape add in another order.
        assert measured.p == pytest.approx(softmax(context.logits(row).astype(np.float64))[tokens[index]], abs=5e-3)
    context.clear(0)


@pytest.fixture(scope="module")
async def client(tmp_path_factory: pytest.TempPathFactory, smollm2: Path) -> AsyncGenerator[WorkerClient]:
    client = WorkerClient(tmp_path_factory.mktemp("score") / "engine.log", graces=Graces(abort_s=20.0, exit_s=10.0))
    await collect(client.load(LoadModel(str(smollm2), LoadOptions(n_ctx=1024))))
    yield client
    await client.close()


async def scored(client: WorkerClient, text: str, n_ctx: int = 0) -> tuple[list[TokenTrace], ScoreFinished]:
    events = await collect(client.score(Score(client.next_request_id(), text, 3, n_ctx)))
    return [token for event in events[:-1] if isinstance(event, Scored) for token in event.tokens], events[-1]


async def predicted(client: WorkerClient, k: int = 20, **sampling: object) -> tuple[int, Prediction]:
    answer = await client.predict(Predict(client.next_request_id(), HI, SamplingParams(**sampling), k))  # type: ignore[arg-type]
    assert answer.prediction is not None
    return answer.n_prompt, answer.prediction


@pytest.mark.asyncio(loop_scope="module")
async def test_a_scored_text_is_whole_and_its_sum_is_that_of_the_tokens_that_count(client: WorkerClient) -> None:
    tokens, ended = await scored(client, TEXT, 32)
    assert sum(token.n_bytes for token in tokens) == len(TEXT.encode())
    counted = [token for n, token in enumerate(tokens) if n // 32 < len(tokens) // 32 and n % 32 > 16]
    assert ended.error == ""
    assert (ended.n_tokens, ended.n_scored) == (len(tokens), len(counted))
    assert ended.nll == pytest.approx(-sum(token.logprob for token in counted))
    assert (tokens[0].p, tokens[0].rank, tokens[0].top) == (1.0, 1, ())
    whole, ended = await scored(client, TEXT)
    assert ended.n_scored == len(whole) - 1
    assert [token.p for token in whole[:32]] == pytest.approx([token.p for token in tokens[:32]], abs=5e-3)


@pytest.mark.asyncio(loop_scope="module")
async def test_a_score_is_aborted_between_two_chunks_and_leaves_the_engine_whole(client: WorkerClient) -> None:
    request_id = client.next_request_id()
    async with aclosing(client.score(Score(request_id, TEXT * 40))) as events:
        await anext(events)
        client.abort(request_id)
        ended = [event async for event in events][-1]
    assert isinstance(ended, ScoreFinished)
    assert ended.error == "it was aborted"
    tokens, _ = await scored(client, "One two three")
    assert len(tokens) == 3


@pytest.mark.asyncio(loop_scope="module")
async def test_a_reply_comes_while_a_long_text_is_scored(client: WorkerClient) -> None:
    request_id = client.next_request_id()
    async with aclosing(client.score(Score(request_id, TEXT * 40, 0, 64))) as events:
        await anext(events)
        sampling = SamplingParams(temperature=0.0, max_tokens=3)
        reply = await collect(client.generate(Generate(client.next_request_id(), HI, sampling)))
        client.abort(request_id)
        rest = [event async for event in events]
    assert reply[-1].finish_reason is FinishReason.LENGTH
    assert rest[-1].error == "it was aborted"
    assert rest[-1].n_scored > 0


@pytest.mark.asyncio(loop_scope="module")
async def test_a_window_beyond_the_context_is_refused(client: WorkerClient) -> None:
    _, ended = await scored(client, TEXT, 4096)
    assert ended.error == "the window must be 4–1024 tokens, got 4096"


@pytest.mark.asyncio(loop_scope="module")
async def test_a_prediction_is_what_the_next_request_draws_from(client: WorkerClient) -> None:
    sampling = SamplingParams(seed=3, max_tokens=2)
    n_prompt, prediction = await predicted(client, k=20, seed=3)
    command = Generate(client.next_request_id(), HI, sampling, 20, trace_stages=True)
    events = await collect(client.generate(command))
    started = next(event for event in events if isinstance(event, GenerationStarted))
    token = next(event.tokens[0] for event in events if isinstance(event, TokensGenerated))
    assert (started.n_prompt, started.n_cached) == (n_prompt, n_prompt - 1)  # the prompt lay in the cache
    assert [top.id for top in prediction.before] == [top.id for top in token.top]
    assert [top.p for top in prediction.before] == pytest.approx([top.p for top in token.top], abs=5e-3)
    assert [(stage.name, stage.n_in) for stage in prediction.stages][:1] == [("top-k", 49152)]
    assert [stage.name for stage in prediction.stages] == [stage.name for stage in token.stages]
    assert token.id in [top.id for top in prediction.after]
    assert sum(top.p for top in prediction.after) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.asyncio(loop_scope="module")
async def test_a_prediction_generates_nothing_and_does_not_disturb_a_reply(client: WorkerClient) -> None:
    sampling = SamplingParams(temperature=0.0, max_tokens=12, exact=True)
    alone = await collect(client.generate(Generate(client.next_request_id(), HI, sampling)))
    async with aclosing(client.generate(Generate(client.next_request_id(), HI, sampling))) as events:
        beside = [await anext(events)]
        _, prediction = await predicted(client, temperature=0.0)
        beside += [event async for event in events]
    said = ["".join(e.text for e in run if isinstance(e, TokensGenerated)) for run in (alone, beside)]
    assert said[0] == said[1]
    assert isinstance(beside[-1], GenerationFinished)
    assert beside[-1].finish_reason is FinishReason.LENGTH
    assert [top.p for top in prediction.after] == [1.0]


@pytest.mark.asyncio(loop_scope="module")
async def test_a_raw_text_is_predicted_without_a_template(client: WorkerClient) -> None:
    command = Predict(client.next_request_id(), (), SamplingParams(), 3, "The capital of France is")
    answer = await client.predict(command)
    assert answer.n_prompt == 5
    assert answer.prediction.before[0].text == " Paris"
    assert (
        await client.predict(Predict(client.next_request_id(), (), SamplingParams()))
    ).error == "the prompt is empty"
    wrong = SamplingParams(grammar="root")
    refused = await client.predict(Predict(client.next_request_id(), HI, wrong))
    assert "line 1, column 5" in refused.error


@pytest.mark.asyncio(loop_scope="module")
async def test_what_a_grammar_and_a_greedy_choice_take_away_is_reported_as_theirs(client: WorkerClient) -> None:
    _, prediction = await predicted(client, k=3, grammar='root ::= "yes" | "no"', temperature=0.0)
    first, last = prediction.stages
    assert (first.name, first.n_in, first.p[:3]) == ("grammar", 49152, (0.0, 0.0, 0.0))
    # What is drawn has a row too, though it is not among the three best before the grammar.
    assert (last.name, last.n_in, last.n_out, last.p) == ("greedy", first.n_out, 1, (0.0, 0.0, 0.0, 1.0))
    assert [token.id for token in prediction.raised] == [prediction.after[0].id]
    assert prediction.raised_ranks[0] > 3
    assert 0 < prediction.raised[0].p < prediction.before[-1].p
    assert [top.p for top in prediction.after] == [1.0]
    assert "yes".startswith(prediction.after[0].text) or "no".startswith(prediction.after[0].text)
    _, prediction = await predicted(client, k=3, temperature=0.0)
    assert [(stage.name, stage.n_out, stage.p) for stage in prediction.stages] == [("greedy", 1, (1.0, 0.0, 0.0))]


@pytest.mark.asyncio(loop_scope="module")
async def test_there_are_rows_for_the_best_of_both_sides_with_their_real_values(client: WorkerClient) -> None:
    text = "red red red red red red"
    params = SamplingParams(temperature=1.0, top_k=0, top_p=1.0, min_p=0.0, frequency_penalty=3.0, presence_penalty=2.0)
    few = (await client.predict(Predict(client.next_request_id(), (), params, 4, text))).prediction
    every = (await client.predict(Predict(client.next_request_id(), (), params, 100, text))).prediction
    assert few.raised, "the penalties moved nothing: the test says nothing"
    before = {token.id: (token.p, rank) for rank, token in enumerate(every.before, 1)}
    after = {token.id: token.p for token in every.after}
    assert {token.id for token in few.after} <= {token.id for token in (*few.before, *few.raised)}
    for i, token in enumerate((*few.before, *few.raised)):
        assert token.p == pytest.approx(before[token.id][0], abs=1e-6)
        # What the penalties pushed below the hundred best is known by that alone.
        expected = after.get(token.id, min(after.values()) / 2)
        assert few.after_of(i) == pytest.approx(expected, abs=max(1e-6, expected if token.id not in after else 0))
        assert few.after_of(i) > 0
    assert [before[token.id][1] for token in few.raised] == list(few.raised_ranks)


@pytest.mark.asyncio(loop_scope="module")
async def test_bans_and_top_n_sigma_are_counted_as_cutting(client: WorkerClient) -> None:
    params = SamplingParams(ban=("#5", "#6", "#7"), top_n_sigma=1.0, samplers=("top-n-sigma", "temperature"))
    answer = await client.predict(Predict(client.next_request_id(), (), params, 4, "The capital of France is"))
    bias, sigma, temperature, dist = answer.prediction.stages
    assert (bias.name, bias.n_in - bias.n_out) == ("logit-bias", 3)
    assert (sigma.n_in, sigma.n_out < 1000) == (bias.n_out, True)
    assert (temperature.n_in, temperature.n_out, dist.n_in) == (sigma.n_out, sigma.n_out, sigma.n_out)


@pytest.mark.asyncio(loop_scope="module")
async def test_tokens_lie_side_by_side_in_their_text(client: WorkerClient) -> None:
    text = "Grüße 東京 <|im_end|>\n\ufdd0"
    plain = await client.tokenize(Tokenize(client.next_request_id(), text))
    special = await client.tokenize(Tokenize(client.next_request_id(), text, parse_special=True))
    for answer in (plain, special):
        assert sum(token.n_bytes for token in answer.tokens) == len(text.encode())
    assert not any(token.is_control for token in plain.tokens)
    assert [token.text for token in special.tokens if token.is_control] == ["<|im_end|>"]


@pytest.mark.asyncio(loop_scope="module")
async def test_messages_are_tokenised_as_a_request_does(client: WorkerClient) -> None:
    answer = await client.tokenize(Tokenize(client.next_request_id(), messages=HI))
    n_prompt, _ = await predicted(client)
    assert len(answer.tokens) == n_prompt
    assert "".join(token.text for token in answer.tokens).endswith(
        "Name three colours.<|im_end|>\n<|im_start|>assistant\n"
    )
