"""What the panels of watching say, small and large, at fixed figures."""

import msgspec
import pytest
from rich.cells import cell_len

from app.analysis.ending import ReplyContext
from app.analysis.meter import Phase, RunMeter
from app.domain.generation import DraftCounts, FinishReason, PromptSpans, Stop, Timings, Usage
from app.domain.sampling import SamplingParams
from app.domain.trace import Origin, TopToken
from app.protocol.events import GenerationFinished, GenerationStarted, Paused, PrefillProgress, TokensGenerated
from app.tui.panels.choice import PanelChoice, Visibility
from app.tui.panels.drafting import drafting_forms, drafting_page
from app.tui.panels.ending import ending_forms, ending_page
from app.tui.panels.latency import latency_forms, latency_page
from app.tui.panels.pages import PAGES, page, page_of
from app.tui.panels.registry import PANELS
from app.tui.panels.sections import fit, sections
from tests.fakes.engine_events import make_prediction, make_ready, make_token

MODEL = make_ready()
GHOSTS = (TopToken(7, " no", 0.2),)


def token(at, **changes):
    return msgspec.structs.replace(make_token(f" t{at}", at), **changes)


def meter(tokens=(), *, n_plain=0, ms=10.0, finish=None, **end):
    made = RunMeter()
    made.apply(GenerationStarted(1, 20, 0, PromptSpans(n_turn=20), 7))
    made.apply(PrefillProgress(1, 20, 20, 20.0))
    everything = [*tokens, *(token(i, ms=ms) for i in range(n_plain))]
    made.apply(TokensGenerated(1, "", tuple(everything)))
    if finish is not None:
        usage = Usage(20, 0, len(everything))
        made.apply(GenerationFinished(1, finish, usage, Timings(), **end))
    return made


def drafted(ms):
    """A step: two drafted tokens kept, the third rejected."""
    first = token(0, ms=ms, origin=Origin.DRAFT)
    return [first, token(1, ms=0.0, origin=Origin.DRAFT), token(2, ms=0.0, ghosts=GHOSTS)]


def written(lines):
    return ["".join(text for text, _ in line).rstrip() for line in lines]


def mixed(ms):
    return meter([token(0, ms=50.0), *drafted(ms) * 8], n_plain=8)


def test_speculation_small():
    assert [written(form) for form in drafting_forms(mixed(15.0), ReplyContext(), 36)] == [
        [
            "SPECULATION        16 of 24 accepted",
            "bonus 0  rejected 8  mean 2.0",
            "by place ██▁",
            "gain ×1.60: saved 120 ms",
        ],
        ["SPECULATION        16 of 24 accepted", "gain ×1.60: saved 120 ms"],
        ["SPECULATION        16 of 24 accepted"],
    ]


def test_speculation_large_shows_a_loss_as_a_loss():
    assert written(drafting_page(mixed(40.0), ReplyContext(), 76, 20)) == [
        "SPECULATION                                                in this reply: on",
        "drafted 24    accepted 16    bonus 0     rejected 8     drafts 8",
        "accepted per draft, on average 2.0",
        "compared with plain decoding: loss ×0.80: cost 80.0 ms",
        "time per token: 13.3 ms in 8 steps with drafts, 10.0 ms in 8 plain ones",
        "acceptance by position in the draft, given that all before it were accepted",
        "  1 ████████████████████████████████████████   100 %  8 of 8",
        "  2 ████████████████████████████████████████   100 %  8 of 8",
        "  3                                            0.0 %  0 of 8",
    ]


@pytest.mark.parametrize(
    ("made", "setting", "words"),
    [
        (meter(n_plain=3), ReplyContext(), "off"),
        (meter(n_plain=3), ReplyContext(speculate=True), "on, no draft yet"),
        (meter(n_plain=3, finish=FinishReason.LENGTH), ReplyContext(speculate=True), "off in this reply"),
        (
            meter(n_plain=3, finish=FinishReason.LENGTH, drafting=DraftCounts()),
            ReplyContext(),
            "on, no draft worth its time",
        ),
    ],
)
def test_why_nothing_was_drafted(made, setting, words):
    title, gain = written(drafting_forms(made, setting, 40)[1])
    assert title == f"SPECULATION{words:>29}"
    assert gain == "no gain: nothing drafted"


def test_a_gain_that_cannot_be_known():
    few_plain = meter([token(0), *drafted(15.0) * 8], n_plain=3)
    assert written(drafting_forms(few_plain, ReplyContext(), 40)[1])[1] == "gain unknown: not enough plain steps"
    few_drafts = meter([token(0), *drafted(15.0) * 7], n_plain=8)
    assert written(drafting_forms(few_drafts, ReplyContext(), 40)[1])[1] == "gain unknown: not enough drafts"


def test_latency_small():
    made = meter(n_plain=41)
    made.screen.start(0.0, 0.0)
    made.screen.arrived(0.5)
    made.screen.flushed(0.525)
    made.screen.ticked(1.0, 0.03, 0.001)
    assert written(latency_forms(made, 36)[1]) == [
        "LATENCY      p50 10.0 ms p95 10.0 ms",
        "⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠁ ⠁ ⠁ ⠁ ⠁ ⠁ ⠁ ⠁",
        "decode 80 % sample 10 % text 10 %",
    ]
    assert written(latency_forms(made, 36)[0])[-1] == "screen: lag 25.0 ms  CPU 3.0 %"


def test_latency_large_has_both_clocks():
    made = meter(n_plain=41)
    made.screen.start(0.0, 0.0)
    made.screen.arrived(0.5)
    made.screen.flushed(0.525)
    made.screen.ticked(1.0, 0.03, 0.001)
    lines = written(latency_page(made, 76, 21))
    assert lines[0] == "LATENCY                           time between tokens, by the engine's clock"
    assert [line[:8].strip() for line in lines[1:12]] == ["p95 p50", *[""] * 9, "0 ms"]
    assert lines[-9:] == [
        "         21 to 60 tokens deep",
        "depth +0.00 ms ± 0.00 ms per 1,000 tokens: not significant",
        "",
        "ENGINE'S CLOCK · per token            SCREEN'S CLOCK · per turn",
        "decode             8.0 ms   80 % ██▍  arrival to screen 25.0 ms",
        "sample             1.0 ms   10 % ▎    the longest       25.0 ms",
        "text               1.0 ms   10 % ▎    flushes                 1",
        "rest of the loop  0.00 ms  0.0 %      CPU of the app      3.0 % of a core",
        "together          10.0 ms             composing panels   1.0 ms · 0.1 %",
    ]


def test_the_clock_of_another_turns_screen_is_not_reported():
    made = meter(n_plain=41)
    made.screen.start(0.0, 0.0)
    made.screen.arrived(0.5)
    made.screen.flushed(0.525)
    made.screen.ticked(1.0, 0.03, 0.001)
    made.screen.forget()
    assert [" ".join(line[38:].split()) for line in written(latency_page(made, 76, 21))[-5:]] == [
        "arrival to screen –",
        "the longest –",
        "flushes –",
        "CPU of the app –",
        "composing panels –",
    ]


def test_while_it_runs_the_percentiles_say_how_far_back_they_look():
    short, long = meter(n_plain=257), meter(n_plain=258)
    assert written(latency_page(short, 76, 21))[0].startswith("LATENCY    ")
    assert written(latency_page(long, 76, 21))[0].startswith("LATENCY  p50, p95: last 256    ")
    assert written(latency_forms(long, 36)[1])[-1] == "p50, p95: last 256 · decode 80 %"
    usage, timings = Usage(20, 0, 258), Timings(p50_ms=10.0, p95_ms=10.0)
    long.apply(GenerationFinished(1, FinishReason.LENGTH, usage, timings))
    assert written(latency_page(long, 76, 21))[0].startswith("LATENCY    ")


def test_the_depths_stand_under_the_ends_of_the_curve():
    lines = written(latency_page(meter(n_plain=61), 76, 21))
    assert lines[1].startswith(" p95 p50 " + "⠉" * 30)
    assert lines[12] == "         21 tokens deep         80 deep"


def test_a_stall_does_not_flatten_the_curve_and_is_reported():
    made = meter([token(0), token(1, ms=900.0)], n_plain=60)
    assert "longest 900 ms, cut off" in written(latency_page(made, 76, 21))[-9]


def test_one_stall_among_few_tokens_does_not_set_the_scale():
    made = meter([token(0), token(1, ms=500.0)], n_plain=12)
    lines = written(latency_page(made, 76, 21))
    assert lines[1].startswith(" 16.0 ms ▲")
    assert lines[1].count("▲") == 1
    assert "longest 500 ms, cut off" in lines[-9]


def chances(*values):
    return [token(at, p_end=p) for at, p in enumerate(values)]


def test_ending_small():
    assert written(ending_forms(meter(chances(0.0, 1e-6, 1e-3, 0.2, 1.0)), 36)[0]) == [
        "P(END OF TEXT)             now 100 %",
        "▁▁▅▇█",
        "most 100 % at token 5 · ▁ 10⁻⁶ █ 1",
    ]
    assert written(ending_forms(RunMeter(), 36)[0]) == [
        "P(END OF TEXT)                 now –",
        "",
        "most – · ▁ 10⁻⁶ █ 1",
    ]


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (RunMeter(), "Nothing has been written yet."),
        (meter(n_plain=2), "The engine does not report how likely an end was."),
        (
            meter(chances(0.01, 0.9), finish=FinishReason.STOP, stop=Stop("eog", "<|im_end|>", 2)),
            "The model ended it: an end token with p = 90 % was drawn.",
        ),
        (meter(chances(0.01, 0.2)), "An end was likely (10 % or more) once, but another token was drawn."),
        (meter(chances(*[0.3] * 9)), "An end was likely (10 % or more) many times, but another token was drawn."),
        (
            meter(chances(0.01, 0.002)),
            "It continues: p(end) was never above 1.0 %.",
        ),
        (
            meter(chances(0.01, 0.002), finish=FinishReason.LENGTH),
            "The model did not end it: p(end) was never above 1.0 %.",
        ),
    ],
)
def test_why_it_does_not_stop(made, words):
    assert written(ending_page(made, MODEL, ReplyContext(), 76, 20))[1] == words


def test_the_stop_conditions_say_how_far_each_end_is():
    setting = ReplyContext(policy="shift", sampling=SamplingParams(max_tokens=64, stop=("END",)))
    lines = written(ending_page(meter(chances(0.5, 0.25)), MODEL, setting, 76, 24))
    assert lines[3:7] == [
        "end of turn    25 % at the last token   38 % of plain draws get this far",
        "stop strings   1",
        "length limit   2 of 64 tokens",
        "context window 22 of 8192 tokens        then the oldest tokens are dropped",
    ]
    assert lines[-3:] == [
        "Where it could have ended · and what came instead",
        "token 1          50 %  ␣t0",
        "token 2          25 %  ␣t1",
    ]


@pytest.mark.parametrize("size", [(76, 20), (136, 36), (36, 8), (9, 3), (1, 1)])
@pytest.mark.parametrize("name", PAGES)
def test_no_page_is_higher_than_the_screen(name, size):
    for made in (RunMeter(), mixed(15.0), meter(chances(*[0.01] * 300), finish=FinishReason.LENGTH)):
        lines = page(name, made, MODEL, ReplyContext(), *size)
        assert len(lines) <= size[1]
        if size[0] >= 76:
            assert all(sum(cell_len(text) for text, _ in line) <= size[0] for line in lines), name


def test_every_panel_has_a_page():
    assert {page_of(panel.name) for panel in PANELS} == set(PAGES)


def test_wishes_are_remembered_and_unknown_ones_passed_over():
    choice = PanelChoice("cells=shown,cost=hidden,gone=shown,next=maybe")
    assert (choice.wish("cells"), choice.wish("cost"), choice.wish("next")) == (
        Visibility.SHOWN,
        Visibility.HIDDEN,
        Visibility.AUTO,
    )
    assert [choice.change("next") for _ in range(3)] == [Visibility.SHOWN, Visibility.HIDDEN, Visibility.AUTO]
    assert choice.text == "cells=shown,cost=hidden"
    assert PanelChoice(choice.text).text == choice.text


def names(height, remembered=""):
    panels = sections(RunMeter(), MODEL, 36, ReplyContext(), PanelChoice(remembered))
    return list(dict.fromkeys(name for name, _ in fit(panels, height) if name))


USUAL = ["speed", "prefill", "ttft", "decode", "cost", "context", "next", "stop", "model"]


def test_extras_are_seen_only_where_nobody_else_wants_the_room():
    assert names(48) == USUAL
    assert names(49) == [*USUAL[:6], "cells", *USUAL[6:]]
    assert names(80) == [panel.name for panel in PANELS]


def test_a_chosen_panel_goes_before_all_others_and_a_hidden_one_is_never_seen():
    assert names(34, "latency=shown")[:4] == ["speed", "prefill", "decode", "latency"]
    assert names(7, "latency=shown,cells=shown") == ["latency", "cells"]
    assert names(80, "speed=hidden,cells=hidden") == [
        panel.name for panel in PANELS if panel.name not in ("speed", "cells")
    ]


def test_a_held_reply_says_so():
    made = meter(n_plain=2)
    made.apply(Paused(1, 2, make_prediction("")))
    assert made.phase is Phase.PAUSED
    panels = {panel.name: panel for panel in sections(made, MODEL, 36)}
    assert written(panels["stop"].forms[0])[1] == "held before its next token"
