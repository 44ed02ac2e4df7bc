"""Structs of the wire as JSON objects and back."""

from __future__ import annotations

import json
import math
import re

import pytest
from msgspec import Struct

from app.cli.trace.format import from_named, to_named
from app.domain.generation import FinishReason
from app.domain.sampling import SamplingParams
from app.domain.trace import Draw, Origin, StageTrace, TokenTrace, TopToken
from app.protocol.events import GenerationFinished, ModelReady
from tests.fakes.engine_events import EOG, make_finished, make_ready

TOKEN = TokenTrace(
    1,
    " a",
    1.5,
    0.0,
    -math.inf,
    3,
    2.0,
    (TopToken(1, "</script>", 0.5),),
    Origin.DRAFT,
    (StageTrace("top-k", 5, 4, (1.0,)),),
    Draw(0.1, 0.2, 0.3),
    ghosts=(TopToken(7, "g", 0.25),),
)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (TOKEN, TokenTrace),
        (make_ready(), ModelReady),
        (make_finished(1, FinishReason.STOP, stop=EOG, n_generated=3), GenerationFinished),
        (SamplingParams(seed=3, logit_bias={"a": 1.0}, samplers=("top-k",)), SamplingParams),
    ],
)
def test_a_value_comes_back_as_it_was(value: Struct, kind: type[Struct]) -> None:
    text = json.dumps(to_named(value), allow_nan=False)
    assert from_named(json.loads(text), kind) == value


def test_every_field_has_its_name_and_minus_infinity_is_null() -> None:
    named = to_named(TOKEN)
    assert list(named) == list(TokenTrace.__struct_fields__)
    assert named["logprob"] is None
    assert named["top"] == [{"id": 1, "text": "</script>", "p": 0.5}]
    assert named["draw"] == {"u": 0.1, "low": 0.2, "high": 0.3}


def test_a_field_that_an_older_file_lacks_takes_its_default_and_an_unknown_one_is_passed_over() -> None:
    named = to_named(TOKEN)
    for name in ("ghosts", "origin", "p_end"):
        del named[name]
    read = from_named(named | {"of_a_newer_version": 1}, TokenTrace)
    assert (read.ghosts, read.origin, read.p_end, read.draw) == ((), Origin.SAMPLED, 0.0, TOKEN.draw)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"id": "x"}, "Expected `int`, got `str` - at `id`"),
        ({"rank": None}, "Expected `int`, got `null` - at `rank`"),
        ({"top": [{"id": 1, "text": "a"}]}, "`p` is missing"),
        ({"stages": 5}, "Expected `array`, got `int` - at `stages`"),
        ({"origin": "nowhere"}, "Invalid enum value 'nowhere' - at `origin`"),
    ],
)
def test_what_is_wrong_is_named(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        from_named(to_named(TOKEN) | change, TokenTrace)


def test_a_field_without_default_is_missed() -> None:
    with pytest.raises(ValueError, match="`text` is missing"):
        from_named({"id": 1}, TokenTrace)
    with pytest.raises(ValueError, match="Expected `array`, got `int`"):
        from_named(5, TokenTrace)
