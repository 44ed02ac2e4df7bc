"""The cells of a window while a reply runs and in the end, as a strip and as a list."""

import pytest

from app.analysis.ending import ReplyContext
from app.analysis.meter import RunMeter
from app.domain.generation import CellSpan, FinishReason, PromptSpans, Timings, Usage
from app.domain.trace import PromptToken
from app.protocol.events import (
    CellsReported,
    ContextShifted,
    GenerationFinished,
    GenerationStarted,
    PrefillProgress,
    PromptRendered,
    TokensGenerated,
)
from app.tui.panels.cells import cells_forms, cells_page, strip
from tests.fakes.engine_events import make_ready, make_token

MODEL = make_ready(n_ctx=100)
SPANS = PromptSpans(10, 20, 6)


def meter(*events, n_cached=26, **started):
    made = RunMeter()
    made.apply(GenerationStarted(1, 36, n_cached, SPANS, 7, (), **started))
    for event in events:
        made.apply(event)
    return made


def tokens(n):
    return TokensGenerated(1, "", tuple(make_token(f" t{i}", i) for i in range(n)))


PROMPT = PromptRendered(1, tuple(PromptToken(i, f" p{i}", 3) for i in range(36)))
PREFILL = PrefillProgress(1, 10, 10, 20.0)
RUNNING = (
    CellSpan("system", 10, "reused"),
    CellSpan("earlier", 16, "reused"),
    CellSpan("earlier", 4, "computed", 8.0),
    CellSpan("prompt", 6, "computed", 12.0),
    CellSpan("reply", 4, "computed", 40.0),
    CellSpan("free", 60),
)


def test_cells_of_a_running_reply():
    assert meter(PREFILL, tokens(5)).cells(100) == RUNNING


def test_nothing_is_computed_before_the_prefill_shows():
    assert meter().cells(100) == (*RUNNING[:2], CellSpan("free", 74))
    assert RunMeter().cells(100) == ()


@pytest.mark.parametrize(("started", "source"), [({"n_restored": 26}, "restored"), ({"n_shared": 26}, "shared")])
def test_cached_cells_say_where_they_came_from(started, source):
    assert meter(**started).cells(100)[0] == CellSpan("system", 10, source)


def test_a_shift_forgets_the_oldest_cells_but_not_the_system_prompt():
    cells = meter(PREFILL, tokens(5), ContextShifted(1, 10, 18)).cells(100)
    assert cells == (
        RUNNING[0],
        CellSpan("earlier", 2, "computed", 8.0),
        *RUNNING[3:5],
        CellSpan("free", 78),
    )


KEPT = (
    CellSpan("system", 10, "reused"),
    CellSpan("earlier", 20, "reused"),
    CellSpan("prompt", 3, "reused"),
    CellSpan("reply", 2, "reused"),
    CellSpan("reply", 1, "computed", 2.0),
    CellSpan("reply", 4, "computed", 40.0),
    CellSpan("free", 60),
)


def test_what_a_fork_keeps_is_the_replys_from_its_first_cell_on():
    running = meter(PROMPT, PrefillProgress(1, 1, 1, 2.0), tokens(5), n_cached=35, n_kept=3)
    assert running.cells(100) == KEPT
    running.apply(GenerationFinished(1, FinishReason.LENGTH, Usage(36, 35, 5), Timings(), cells=KEPT))
    page = cells_page(running, MODEL, ReplyContext(), 76, 30)
    assert [text(line).strip() for line in page[12::2]] == ["␣p30␣p31␣p32", "␣p33␣p34", "␣p35", "␣t0␣t1␣t2␣t3"]


def test_in_the_end_the_engines_account_counts():
    account = (CellSpan("prompt", 36, "computed", 20.0), CellSpan("free", 64))
    end = GenerationFinished(1, FinishReason.LENGTH, Usage(36, 26, 5), Timings(), cells=account)
    assert meter(PREFILL, tokens(5), end).cells(100) == account


def text(line):
    return "".join(part for part, _ in line)


@pytest.mark.parametrize(
    ("policy", "drawn"),
    [
        ("stop", "ssseeeeeEPPR" + "·" * 18),
        ("drop-oldest-turns", "sss!eeeeEPPR" + "·" * 18),
        ("shift", "sss!eeeeEPPR" + "·" * 18),
    ],
)
def test_the_strip_has_letters_small_where_nothing_was_computed(policy, drawn):
    assert text(strip(RUNNING, ReplyContext(policy=policy), 30)) == drawn


def test_a_shift_drops_the_prompt_where_nothing_is_older():
    cells = (CellSpan("system", 5, "computed"), CellSpan("prompt", 5, "computed"))
    assert text(strip(cells, ReplyContext(policy="shift"), 10)) == "SSSSS!PPPP"
    assert text(strip(cells, ReplyContext(policy="drop-oldest-turns"), 10)) == "SSSSSPPPPP"


def test_the_panel():
    forms = cells_forms(meter(PREFILL, tokens(5)), MODEL, ReplyContext(policy="shift"), 36)
    assert [text(line) for line in forms[0]] == [
        "KV-CACHE            40 of 100 · 40 %",
        "ssss!eeeeeEPPR······················",
        "S system E earlier P prompt R reply ",
        "! dropped next · small: reused",
    ]
    assert [len(form) for form in forms] == [4, 2, 1]
    nothing = cells_forms(RunMeter(), None, ReplyContext(), 36)
    assert [text(line) for line in nothing[0]][:2] == ["KV-CACHE                           –", "·" * 36]


OPENED = """\
KV-CACHE                                                    40 of 100 · 40 %
ssssssss!eeeeeeeeeeeEEEPPPPRRR··············································
S system E earlier P prompt R reply · free
! dropped next · small: was in the cache before

   cells       tokens  what    from          &   at                     took
s  0–9             10  system  reused            –                         –
   ␣p0␣p1␣p2␣p3␣p4␣p5␣p6␣p7␣p8␣p9
e! 10–25           16  earlier reused            –                         –
   ␣p10␣p11␣p12␣p13␣p14␣p15␣p16␣p17␣p18␣p19␣p20␣p21␣p22␣p23␣p24␣p25
E  26–29            4  earlier computed          now                  8.0 ms
   ␣p26␣p27␣p28␣p29
P  30–35            6  prompt  computed          now                 12.0 ms
   ␣p30␣p31␣p32␣p33␣p34␣p35
R  36–39            4  reply   computed          now                 40.0 ms
   ␣t0␣t1␣t2␣t3"""


def test_the_marks_explain_all_that_is_marked_and_nothing_else():
    cells = (CellSpan("system", 10, "shared"), CellSpan("earlier", 10, "reused"), CellSpan("free", 80))

    def marks(*cells, policy="shift"):
        end = GenerationFinished(1, FinishReason.LENGTH, Usage(20, 20, 0), Timings(), cells=cells)
        return text(cells_forms(meter(end), MODEL, ReplyContext(policy=policy), 60)[0][-1])

    assert marks(*cells) == "! dropped next · small: from a reply, reused"
    assert marks(cells[0], cells[2]) == "small: computed by another reply"
    assert marks(CellSpan("system", 10, "computed"), cells[2]) == "all computed"
    assert marks(*cells, policy="stop") == "full: it ends · small: from a reply, reused"


def test_opened_it_lists_the_spans_with_their_texts():
    page = cells_page(meter(PROMPT, PREFILL, tokens(5)), MODEL, ReplyContext(policy="shift"), 76, 24)
    assert "\n".join(text(line).rstrip() for line in page) == OPENED


def test_texts_give_way_on_a_low_screen_and_are_left_out_after_a_shift():
    page = cells_page(meter(PROMPT, PREFILL, tokens(5)), MODEL, ReplyContext(), 76, 11)
    assert [text(line)[0] for line in page[6:]] == ["s", "e", "E", "P", "R"]
    shifted = meter(PROMPT, PREFILL, tokens(5), ContextShifted(1, 10, 18))
    assert not any("p1" in text(line) for line in cells_page(shifted, MODEL, ReplyContext(), 76, 24))


def test_a_text_that_would_move_the_screen_is_made_safe():
    hostile = PromptRendered(1, tuple(PromptToken(i, "\x1b[2J\n", 3) for i in range(36)))
    page = cells_page(meter(hostile, PREFILL), MODEL, ReplyContext(), 76, 24)
    assert not any("\x1b" in text(line) or "\n" in text(line) for line in page)
    assert any("␛[2J↵" in text(line) for line in page)


AT = 1_700_000_000.0
"""22:13:20 of a day in November."""
REPORTED = (
    CellSpan("system", 10, "restored", 0.0, AT - 86_400, AT - 86_400, 3),
    CellSpan("earlier", 16, "shared", 0.0, AT - 75, AT - 60, 3),
    CellSpan("earlier", 4, "computed", 8.0, AT, AT),
    CellSpan("prompt", 6, "computed", 12.0, AT, AT),
    CellSpan("reply", 2, "computed", 20.0, AT + 1, AT + 2),
    CellSpan("free", 62),
)


def test_while_it_runs_the_last_account_shows_times_and_sharers_and_what_follows_is_now():
    cells = meter(PREFILL, tokens(3), CellsReported(1, REPORTED), tokens(2)).cells(100)
    assert cells[:4] == REPORTED[:4]
    assert cells[4:] == (CellSpan("reply", 4, "computed", 40.0, AT + 1), CellSpan("free", 60))


def test_after_a_shift_an_account_of_other_cells_shows_nothing():
    shifted = meter(PREFILL, tokens(5), CellsReported(1, REPORTED), ContextShifted(1, 10, 18))
    assert {span.first_at for span in shifted.cells(100)} == {0.0}
    shifted.apply(CellsReported(1, (REPORTED[0], CellSpan("earlier", 2, "computed", 4.0, AT, AT), *REPORTED[3:])))
    assert shifted.cells(100)[1] == CellSpan("earlier", 2, "computed", 8.0, AT, AT)


NARROW = """\
KV-CACHE                                                    40 of 100 · 40 %
sssssss&!eeeeeeeeee&EEEPPPPRRR··············································
S system E earlier P prompt R reply · free
& shared · ! dropped next · small: from disk, from a reply

   cells       tokens  what    from          &   at 14 Nov              took
s& 0–9             10  system  from disk     3   13 Nov 23                 –
e&!10–25           16  earlier from a reply  3   22:12:05–22:12:20         –
E  26–29            4  earlier computed          22:13:20             8.0 ms
P  30–35            6  prompt  computed          22:13:20            12.0 ms
R  36–39            4  reply   computed          22:13:21–now        40.0 ms"""
WIDE = """\
& shared with replies · ! dropped next · small: restored from disk, computed by another reply

   cells            tokens  what     from                             shared           at 14 Nov 2023           took
s& 0–9                  10  system   restored from disk               with 3 replies   13 Nov 23                   –
e&!10–25                16  earlier  computed by another reply        with 3 replies   22:12:05–22:12:20           –
E  26–29                 4  earlier  computed for this reply                           22:13:20               8.0 ms
P  30–35                 6  prompt   computed for this reply                           22:13:20              12.0 ms
R  36–39                 4  reply    computed for this reply                           22:13:21–now          40.0 ms"""


@pytest.mark.parametrize(("width", "first", "expected"), [(76, 0, NARROW), (136, 3, WIDE)], ids=["narrow", "wide"])
def test_opened_it_shows_what_is_shared_and_when_each_span_was_computed(width, first, expected):
    running = meter(PREFILL, tokens(3), CellsReported(1, REPORTED), tokens(2))
    page = cells_page(running, MODEL, ReplyContext(policy="shift"), width, 11)
    assert "\n".join(text(line).rstrip() for line in page[first:]) == expected
    assert page[1][0] == ("s" * (len(page[1][0][0]) - 1) + "&", "shared-block")


def test_the_panel_shows_that_cells_are_shared():
    lines = cells_forms(meter(PREFILL, tokens(3), CellsReported(1, REPORTED)), MODEL, ReplyContext(), 60)[0]
    assert text(lines[-1]) == "& shared · full: it ends · small: from disk, from a reply"
    lines = cells_forms(meter(PREFILL, CellsReported(1, REPORTED)), MODEL, ReplyContext(policy="shift"), 36)[0]
    assert text(lines[-1]) == "& shared · ! dropped · small: from disk, from a reply"
    assert text(lines[1]).startswith("sss&!eeee&E")


def test_one_shared_cell_of_the_strip_is_the_mark_alone():
    cells = (CellSpan("prompt", 1, "computed", 1.0, AT, AT, 1), CellSpan("free", 9))
    assert strip(cells, ReplyContext(), 10) == (("&", "shared-block"), ("·" * 9, "free"))
