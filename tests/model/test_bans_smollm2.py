"""Banned texts on the real vocabulary: no way of cutting them into tokens brings them, and nothing else is lost."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from app.domain.conversation import Role
from app.domain.model import LoadOptions
from app.domain.sampling import SamplingParams
from app.engine.core.backend import ComputeError, SamplingError
from app.engine.native.context import NativeContext
from app.engine.native.loader import LoadedModel
from app.engine.native.model import NativeModel
from app.engine.native.stages import TextBans, ban_notices, banned_texts, banned_tokens
from app.engine.requests.service import ModelService
from app.engine.text.renderer import Renderer
from app.protocol.commands import ChatMessage, Generate, LoadModel

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def model(loaded: LoadedModel) -> NativeModel:
    return loaded.model


def follow(model: NativeModel, text: bytes, *banned: bytes) -> frozenset[int]:
    """What is banned after `text`, which is given byte by byte where its tokens allow it."""
    bans = TextBans(banned, model.vocab, model.pieces)
    bans.push(model.vocab.tokenize(text))
    return bans.banned


@pytest.mark.parametrize("text", [b"", b"x", b" d", b"a del", b"delv", b"dedelv", b"Let us del"])
@pytest.mark.parametrize("banned", [(b"delve",), (b"delve", b"elf"), (b"dede",)])
def test_exactly_the_tokens_that_would_complete_a_banned_text(
    model: NativeModel, text: bytes, banned: tuple[bytes, ...]
) -> None:
    expected = {
        token
        for token in range(model.vocab.n_vocab)
        if (piece := model.vocab.pieces[token]) and any(_completes(text, piece, each) for each in banned)
    }
    assert follow(model, text, *banned) == expected


def _completes(text: bytes, piece: bytes, banned: bytes) -> bool:
    whole = text + piece
    return any(at + len(banned) > len(text) for at in range(len(whole)) if whole.startswith(banned, at))


def spell(context: NativeContext, params: SamplingParams, wanted: bytes) -> bytes:
    """What comes where the logits want `wanted`, in its longest tokens first, and then anything else."""
    vocab = context.n_vocab
    sampler = context.sampler(params)
    said, ids = b"", list[int]()
    pieces = {token: context._model.vocab.pieces[token] for token in range(vocab)}  # pyright: ignore[reportPrivateUsage]
    try:
        for _ in range(len(wanted)):
            logits = np.full(vocab, -30.0, np.float32)
            rest = wanted[len(said) :]
            for token, piece in pieces.items():
                if piece and rest.startswith(piece):
                    logits[token] = 10.0 + len(piece)
            logits[100] = 0.0  # whatever comes where nothing of it may
            token = sampler.sample(logits)
            ids.append(token)
            if not rest.startswith(pieces[token]) or not pieces[token]:
                break
            said += pieces[token]
    finally:
        sampler.close()
    return said


@pytest.mark.parametrize("params", [{"ban_text": ("delve",)}, {"ban": ("delve",)}])
@pytest.mark.parametrize("wanted", [b"delve into", b" delve", b"we delve", b"dedelve"])
def test_a_model_that_wants_nothing_else_cannot_say_it(
    context: NativeContext, params: dict[str, tuple[str, ...]], wanted: bytes
) -> None:
    said = spell(context, SamplingParams(temperature=0.0, **params), wanted)  # type: ignore[arg-type]
    assert b"delve" not in said
    assert said == wanted[: len(said)]
    assert len(said) >= wanted.index(b"delve"), "what comes before it may be said"
    free = spell(context, SamplingParams(temperature=0.0, ban_text=("delver",)), wanted)
    assert free == wanted


def test_the_tokens_of_a_text_of_several_stay_free(model: NativeModel) -> None:
    params = SamplingParams(ban=("delve", " blue", "#5"))
    assert banned_tokens(model, params) == [*model.token_ids(" blue"), 5]
    assert banned_texts(model, params) == [b"delve"]


def test_what_a_ban_does_not_do_is_said(model: NativeModel) -> None:
    several, blue = ban_notices(model, SamplingParams(ban=("delve", " blue", "#5", "<|im_end|>")))
    assert several == "'delve' is 2 tokens: the text is banned, not the tokens"
    assert blue.startswith(
        f"only the token ' blue' (#{model.token_ids(' blue')[0]}) is banned, not 'blue', 'Blue', ' Blue'"
    )
    assert ban_notices(model, SamplingParams(ban=(" blue", "blue", "Blue", " Blue"))) == []
    assert ban_notices(model, SamplingParams(ban=(" blue",), ban_text=("blue", "Blue"))) == []


def test_a_banned_text_is_cut_by_the_first_stage_and_what_is_reported_agrees(
    context: NativeContext, model: NativeModel
) -> None:
    whole = model.pieces.containing(b"rain")
    sampler = context.sampler(SamplingParams(seed=1, ban_text=("rain",)))
    logits = np.zeros(context.n_vocab, np.float32)
    logits[whole[0]] = 20.0
    left = sampler.preview(logits, [whole[0]], 5)
    assert left.stages[0].name == "logit-bias"
    assert left.stages[0].p == (0.0,)
    assert sampler.sample(logits, [whole[0]]) not in whole
    assert sampler.report.stages[0].p == (0.0,)
    sampler.close()


def test_bans_of_steps_and_texts_live_side_by_side(context: NativeContext, model: NativeModel) -> None:
    sampler = context.sampler(SamplingParams(temperature=0.0, ban_text=("rain",)))
    (dog,) = model.token_ids(" dog")
    (rain,) = model.token_ids(" rain")
    logits = np.zeros(context.n_vocab, np.float32)
    logits[dog], logits[rain] = 5.0, 9.0
    assert sampler.sample(logits) == dog
    sampler.ban([dog])
    assert sampler.sample(logits) not in (dog, rain)
    sampler.unban([dog])
    assert sampler.sample(logits) == dog
    sampler.close()


def test_an_empty_text_and_a_ban_of_everything_are_errors(context: NativeContext) -> None:
    with pytest.raises(SamplingError, match="ban_text: one of the texts is empty; remove it"):
        context.sampler(SamplingParams(ban_text=("",)))
    sampler = context.sampler(SamplingParams(temperature=0.0, ban_text=("a",)))
    logits = np.full(context.n_vocab, -np.inf, np.float32)
    logits[sampler_tokens(context, b"a")] = 1.0
    with pytest.raises(ComputeError, match="banned"):
        sampler.sample(logits)
    sampler.close()


def sampler_tokens(context: NativeContext, text: bytes) -> list[int]:
    return context._model.pieces.containing(text)  # pyright: ignore[reportPrivateUsage]


def test_a_request_is_reported_what_its_bans_mean(smollm2: Path) -> None:
    renderer = Renderer()
    host = ModelService(LoadModel(str(smollm2), LoadOptions(n_ctx=256)), lambda fraction: True, renderer)
    try:
        asked = (ChatMessage(Role.USER, "Hi"),)
        plain, banned, wrong = (
            host.submit(Generate(n, asked, SamplingParams(ban=ban, max_tokens=1)), 0.0).sequence
            for n, ban in enumerate([(), ("delve",), ("#999999",)])
        )
        assert (plain.cache.notices, wrong.cache.notices) == ([], [])
        assert banned.cache.notices == ["'delve' is 2 tokens: the text is banned, not the tokens"]
        (scheduler,) = host.schedulers
        while not scheduler.idle:
            scheduler.step()
        assert wrong.error == "there is no token #999999: the vocabulary has 49152"
    finally:
        host.close()
        renderer.close()
