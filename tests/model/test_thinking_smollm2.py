"""The second set on the real model: in force between the marks of `models.toml`, and the answer's grammar waits."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.domain.conversation import Role
from app.domain.model import LoadOptions
from app.domain.sampling import SamplingParams
from app.engine.core.events import Sampled
from app.engine.native import library
from app.engine.requests.service import ModelService
from app.engine.text.renderer import Renderer
from app.protocol.commands import ChatMessage, Generate, LoadModel

pytestmark = pytest.mark.model

ASKED = (ChatMessage(Role.USER, "Name a colour."),)


def test_what_is_inside_the_marks_is_chosen_by_the_second_set(smollm2: Path) -> None:
    library.start()
    renderer = Renderer()
    options = LoadOptions(n_ctx=256, thinking=("(", ")"))
    host = ModelService(LoadModel(str(smollm2), options), lambda fraction: True, renderer)
    inside = {"logit_bias": {")": 100.0}}
    try:
        (scheduler,) = host.schedulers

        def said(number: int, sampling: SamplingParams) -> tuple[str, list[bool]]:
            reply = host.submit(Generate(number, ASKED, sampling), 0.0)
            sampled: list[Sampled] = []
            while not scheduler.idle:
                sampled += [each for each in scheduler.step() if isinstance(each, Sampled)]
            vocab = host.loaded.model.vocab
            assert not reply.sequence.error
            return b"".join(vocab.pieces[each.token] for each in sampled).decode(), [each.thinking for each in sampled]

        plain = SamplingParams(temperature=0, max_tokens=4, force=(" (",), thinking={"logit_bias": {" rain": 50.0}})
        assert said(1, plain) == (" ( rain rain rain", [False, True, True, True])
        closing = SamplingParams(temperature=0, max_tokens=3, force=(" (",), thinking=inside)
        text, thinking = said(2, closing)
        assert text.startswith(" ()")
        assert thinking == [False, True, False]
        answer = SamplingParams(temperature=0, max_tokens=6, grammar='root ::= (" blue" | " red") "."', thinking=inside)
        opened = host.submit(Generate(3, ASKED, answer), 0.0)
        assert opened.sequence.block
        opened.sequence.block.inside = True
        while not scheduler.idle:
            scheduler.step()
        text = b"".join(host.loaded.model.vocab.pieces[token] for token in opened.sequence.generated).decode()
        assert text in (") blue.", ") red.")
    finally:
        host.close()
        renderer.close()
