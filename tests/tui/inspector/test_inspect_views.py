"""What the inspector's sections say, line by line."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from app.analysis.chain import computed, recorded
from app.analysis.survivors import INF
from app.analysis.what_if import Step
from app.domain.sampling import SamplingParams
from app.domain.trace import Draw, Origin, PromptToken, ReplyTrace, StageTrace, TokenTrace, TopToken
from app.tui.inspector.find import next_surprise, next_text
from app.tui.inspector.prompt import prompt_legend, prompt_lines
from app.tui.inspector.sampler import WhatIf, count, sampler_lines
from app.tui.inspector.token import candidate_at, token_lines
from app.tui.widgets.line import Line, width_of
from tests.fakes.engine_events import make_token


def text(lines: Sequence[Line]) -> list[str]:
    return ["".join(part for part, _ in line).rstrip() for line in lines]


def token(piece: str = " sky", **changes: object) -> TokenTrace:
    made = replace(make_token(piece, n_top=3), n_bytes=len(piece.encode()), decode_ms=8.0, sample_ms=1.0)
    return replace(made, **changes)


def test_a_token_in_a_narrow_place_has_its_candidates_below() -> None:
    lines = token_lines(token(p_end=0.125, text_ms=0.25), (3, 1200), (), (40, 20), None)
    assert text(lines) == [
        "TOKEN 3 of 1,200",
        "text      “␣sky”",
        "bytes     20 73 6b 79",
        "id        100",
        "p         50 %   rank 1",
        "logprob   -0.6931",
        "entropy   2.000 bits",
        "p(end)    12 %",
        "origin    sampled",
        "ms        10.0   as text 0.25",
        "decode 8.00 sampling 1.00 other 1.00",
        "",
        "CANDIDATES  p before the chain",
        "▶ ␣sky            50 % ████████",
        "  ␣alt2           25 % ████",
        "  ␣alt3           12 % ██",
    ]


def test_bytes_control_tokens_and_rejected_drafts_are_named() -> None:
    wide = (80, 14)
    part = text(token_lines(token("<0xE2>", n_bytes=0), (1, 1), (), wide, None))
    assert part[1][:36].rstrip() == "text      “<0xE2>”"
    assert part[2][:36].rstrip() == "bytes     e2"
    assert part[3][:36].rstrip() == "id        100  (part of a character)"
    end = text(token_lines(token("<|im_end|>", n_bytes=0), (1, 1), {100}, wide, None))
    assert end[2][:36].rstrip() == "bytes     none: a control token"
    assert end[1].endswith("█  control")
    ghosts = (TopToken(7, " cat", 0.25), TopToken(8, "\n", 0.0))
    drafted = text(token_lines(token(origin=Origin.BONUS, ghosts=ghosts), (1, 1), (), wide, None))
    assert drafted[8][:36].rstrip() == "origin    bonus"
    assert drafted[11] == "rejected  ␣cat↵ 25 %"


def test_a_token_that_is_not_among_the_candidates_is_added_with_its_rank() -> None:
    rare = replace(token(), rank=37, p=0.001, top=token().top[1:])
    assert text(token_lines(rare, (1, 1), (), (80, 14), None))[3][38:] == "▶ ␣sky            0.1 %  rank 37"
    assert text(token_lines(replace(rare, top=()), (1, 1), (), (80, 14), None))[1][38:] == (
        "none were stored: trace_top_k is 0"
    )


def test_no_line_is_wider_than_there_is_room_for_a_bar() -> None:
    for width in (30, 40, 60, 72, 80, 120):
        for line in token_lines(token("天" * 40), (1, 1), (), (width, 20), 1):
            assert width_of(line) <= max(width, 40)


def test_a_click_finds_the_candidate_of_its_row() -> None:
    assert [candidate_at(token(), (50, y), (80, 12), None) for y in range(5)] == [None, 0, 1, 2, None]
    assert candidate_at(token(), (10, 1), (80, 12), None) is None
    assert [candidate_at(token(), (3, y), (40, 20), None) for y in (11, 12, 13, 15, 16)] == [None, None, 0, 2, None]


PLAIN = SamplingParams(temperature=1.0, top_k=2, top_p=1.0, min_p=0.0)
LEFT = (2 / 3, 1 / 3, 0.0)
STAGES = (
    StageTrace("top-k", 49152, 2, LEFT),
    StageTrace("temperature", 2, 2, LEFT),
    StageTrace("dist", 2, 2, LEFT),
)


def test_the_sampler_shows_the_stages_and_the_draw() -> None:
    sampled = token(stages=STAGES, draw=Draw(0.25, 0.0, 2 / 3))
    lines = sampler_lines(sampled, recorded(sampled), (), "", (80, 9))
    assert text(lines) == [
        "SAMPLER  recorded",
        "    p after             model    top-k     temp",
        "    left               49,152        2        2",
        "▶ a ␣sky                 50 %     67 %     67 % █████████████████████▍",
        "  b ␣alt2                25 %     33 %     33 % ██████████▋",
        "    ␣alt3                12 %        ✂",
        "",
        "0 " + "a" * 51 + "b" * 25 + " 1",
        "  " + " " * 19 + "▲ u = 0.2500 → ␣sky",
    ]


def test_where_not_every_stage_fits_the_last_ones_stay_and_a_cut_is_still_seen() -> None:
    sampled = token(stages=STAGES, draw=Draw(0.25, 0.0, 2 / 3))
    assert text(sampler_lines(sampled, recorded(sampled), (), "", (40, 9)))[1:6] == [
        "    p after       model     temp  +1",
        "    left         49,152        2",
        "▶ a ␣sky           50 %     67 % ████▋",
        "  b ␣alt2          25 %     33 % ██▍",
        "    ␣alt3          12 %        ✂",
    ]


def test_a_draw_that_fell_beyond_the_stored_candidates_names_the_token() -> None:
    few = replace(token(stages=(*(replace(each, p=each.p[1:]) for each in STAGES),)), top=token().top[1:])
    sampled = replace(few, draw=Draw(0.25, 0.0, 2 / 3))
    lines = text(sampler_lines(sampled, recorded(sampled), (), "", (80, 9)))
    assert lines[-1].strip() == "▲ u = 0.2500 → ␣sky, not among these"


def test_a_what_if_that_changes_the_outcome_says_so() -> None:
    sampled = token(stages=STAGES, draw=Draw(0.625, 0.0, 2 / 3))
    warmer = WhatIf(PLAIN).turn(1).turn(1)
    assert warmer.params.temperature == 1.1
    shown = text(
        sampler_lines(sampled, computed(sampled, PLAIN, warmer.params), warmer.line(), "", (80, 10)),
    )
    assert shown[0] == "WHAT IF  exact"
    assert shown[2:4] == [
        "    left                  all        2        2",
        "▶ a ␣sky                 50 %     67 %     65 % ████████████████████▉",
    ]
    assert shown[-1] == "◂temperature 1.1▸  top-k 2   top-p off   min-p off"
    hot = replace(PLAIN, temperature=5.0)
    shown = text(sampler_lines(sampled, computed(sampled, PLAIN, hot), warmer.line(), "", (80, 10)))
    assert shown[-2].strip() == "u = 0.6250 → ␣alt2 in place of ␣sky ▲"
    assert shown[4].startswith("→ b ␣alt2")


def test_the_sampler_without_a_record_is_computed() -> None:
    shown = text(sampler_lines(token(), computed(token(), PLAIN, PLAIN), (), "r records", (80, 12)))
    assert shown[0] == "SAMPLER  exact"
    assert shown[-1] == "  the position of the draw is unknown"
    unknown = replace(PLAIN, typical_p=0.5)
    shown = text(sampler_lines(token(), computed(token(), unknown, unknown), (), "r records", (80, 12)))
    assert shown[:2] == ["SAMPLER  approximate: not computed here: typical", "r records"]
    forced = token(origin=Origin.FORCED)
    chain = computed(forced, PLAIN, PLAIN)
    assert text(sampler_lines(forced, chain, (), "", (80, 12))) == [
        "SAMPLER",
        "This token was forced: no sampler chose it.",
    ]
    assert text(sampler_lines(token(), None, (), "", (80, 12)))[1] == "No candidates are stored: trace_top_k is 0."


@pytest.mark.parametrize(
    ("bounds", "shown"),
    [((INF, INF), "all"), ((40, 40), "40"), ((7, 40), "7–40"), ((10, INF), "≥ 10"), ((49152, 49152), "49,152")],
)
def test_counts_that_are_only_bounded_say_so(bounds: tuple[float, float], shown: str) -> None:
    assert count(bounds) == shown
    assert Step("top-k", bounds, bounds, ()).n_out == bounds


def test_knobs_stop_at_their_ends_and_pass_through_off() -> None:
    knobs = WhatIf(SamplingParams(temperature=0.0, top_k=100, top_p=0.97, min_p=0.0))
    assert knobs.turn(-1) == knobs
    assert knobs.line()[0] == ("◂temperature greedy▸", "cursor")
    top_k = knobs.select(1)
    assert (top_k.turn(1).params.top_k, top_k.turn(1).turn(-1).params.top_k) == (0, 100)
    assert top_k.turn(1).turn(1) == top_k.turn(1)
    assert (top_k.select(1).turn(1).params.top_p, top_k.select(1).turn(-1).params.top_p) == (0.98, 0.95)
    assert knobs.select(-1).knob == 3
    assert WhatIf(SamplingParams(samplers=("temperature",))).line()[2][0].strip() == "top-k not in the chain"


PROMPT = (
    PromptToken(1, "<|im_start|>", 12, True),
    PromptToken(4, "user", 4),
    PromptToken(5, "\n", 1),
    PromptToken(6, "<s>", 0, True),
)


def test_the_prompt_shows_cached_from_computed() -> None:
    trace = ReplyTrace(prompt=PROMPT, n_cached=3)
    assert text([prompt_legend(trace)]) == ["░ cached 3  ▓ computed 1  <|name|> control 2"]
    assert text(prompt_lines(trace, 1, 60)) == [
        "PROMPT  4 tokens, 17 bytes, as rendered by the template",
        "cached          3 found in the KV cache             ██████",
        "computed        1 read by the model for this reply  ██",
        "",
        "TOKEN 2 of 4",
        "text      “user”",
        "id        4  text, cached",
        "bytes     12 to 16",
    ]
    assert text(prompt_lines(trace, 3, 60))[-2:] == [
        "id        6  control token, computed",
        "bytes     none: the tokenizer added it",
    ]


def test_the_prompt_of_a_fork_shows_the_tokens_that_were_kept() -> None:
    trace = ReplyTrace(prompt=PROMPT, n_cached=3, n_kept=2)
    assert text(prompt_lines(trace, 3, 60))[3:6] == [
        "kept            2 of them the start of the reply    ████",
        "",
        "TOKEN 4 of 4  token 2 of the reply, kept",
    ]
    assert text(prompt_lines(trace, 1, 60))[5] == "TOKEN 2 of 4"


def test_text_is_found_across_tokens_and_from_the_beginning_again() -> None:
    pieces = ["Why", " it", " ra", "ins", ": é", "<0xE2>", "€", " It", "<|im_end|>"]
    content = "Why it rains: é€ It"
    sizes = [3, 3, 3, 3, 4, 0, 3, 3, 0]
    tokens = [replace(make_token(p, i), n_bytes=n) for i, (p, n) in enumerate(zip(pieces, sizes, strict=True))]
    assert next_text(tokens, content, "rains", 0) == 2
    assert next_text(tokens, content, "it", 1) == 7
    assert next_text(tokens, content, "it", 7) == 1
    assert next_text(tokens, content, "€", 0) == 6
    assert next_text(tokens, content, "im_end", 0) == 8
    assert next_text(tokens, content, "(", 0) is None
    assert next_text(tokens, content, "", 0) is None
    assert next_text(tokens, "something else", "ains", 0) == 2
    assert next_text([], "", "a", -1) is None


def test_a_surprise_is_unlikely_or_drawn_where_much_was_possible() -> None:
    made = [make_token("a", i, rank=1) for i in range(5)]
    made[1] = replace(made[1], p=0.09)
    made[3] = replace(made[3], entropy=3.0)
    assert [next_surprise(made, at) for at in range(5)] == [1, 3, 3, 1, 1]
    assert next_surprise(made[4:], 0) is None
    assert next_surprise([], -1) is None
