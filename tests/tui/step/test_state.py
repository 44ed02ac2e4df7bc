"""Step mode's state and its lines."""

from __future__ import annotations

from app.domain.trace import Prediction, TopToken
from app.protocol.events import Paused
from app.tui.step.state import Alternative, Hold, Stepping, alternatives, step_lines

PREDICTION = Prediction(
    1.75,
    0.004,
    before=(
        TopToken(7, " sky", 0.5),
        TopToken(8, " sea", 0.25),
        TopToken(9, "\n", 0.125),
        TopToken(2, "<|im_end|>", 0.004),
    ),
    after=(TopToken(8, " sea", 0.6), TopToken(7, " sky", 0.3), TopToken(11, " fog", 0.1)),
    raised=(TopToken(11, " fog", 0.002),),
    raised_ranks=(17,),
)


def paused(n_generated: int = 11) -> Stepping:
    state = Stepping()
    state.pause(Paused(1, n_generated, PREDICTION))
    return state


def shown(state: Stepping, width: int = 78, height: int = 9) -> list[str]:
    return ["".join(text for text, _ in line).rstrip() for line in step_lines(state, width, height)]


def test_candidates_keep_the_order_before_the_chain_and_what_only_the_chain_brought_up_comes_last() -> None:
    assert alternatives(PREDICTION) == (
        Alternative(7, " sky", 1, 0.5, 0.3),
        Alternative(8, " sea", 2, 0.25, 0.6),
        Alternative(9, "\n", 3, 0.125, 0.0),
        Alternative(2, "<|im_end|>", 4, 0.004, 0.0),
        Alternative(11, " fog", 17, 0.002, 0.1),
    )


def test_the_panel_shows_both_distributions_and_names_what_is_cut() -> None:
    state = paused()
    state.move(1)
    assert shown(state) == [
        "STEP token 12 · entropy 1.75 bits · end 0.4 %                         ‖ paused",
        "      next token         before the chain           after it",
        "    1 ␣sky                  50 % ████████▌             30 % █████▏",
        "▶   2 ␣sea                  25 % ████▎                 60 % ██████████▎",
        "    3 ↵                     12 % ██▏                    cut",
        "    4 <|im_end|>           0.4 % ▏                      cut",
        "   17 ␣fog                 0.2 % ▏                     10 % █▊",
    ]


def test_on_a_low_panel_the_rows_follow_the_cursor() -> None:
    state = paused()
    state.move(3)
    assert [line[:16].rstrip() for line in shown(state, height=4)[2:]] == ["    3 ↵", "▶   4 <|im_end|>"]
    assert shown(state, height=1) == shown(state)[:1]


def test_a_narrow_panel_leaves_out_what_does_not_fit() -> None:
    assert shown(paused(), width=40)[:3] == [
        "STEP token 12                   ‖ paused",
        "      next token   before    after",
        "▶   1 ␣sky          50 % █      30 % ▋",
    ]


def test_the_cursor_stops_at_the_ends_and_starts_anew_with_the_next_token() -> None:
    state = paused()
    state.move(-1)
    assert state.cursor == 0
    state.move(99)
    assert state.cursor == 4
    state.pause(Paused(1, 11, PREDICTION))
    assert state.cursor == 4
    state.pause(Paused(1, 12, PREDICTION))
    assert state.cursor == 0


def test_a_number_is_typed_digit_by_digit() -> None:
    state = paused()
    for char in "0120":
        state.digit(char)
    assert (state.count, state.n_steps) == ("120", 120)
    assert shown(state)[0].endswith("120▏ tokens: Space")
    state.digit("0")
    state.digit("0")
    assert state.count == "1200"
    state.erase()
    assert state.count == "120"
    state.go(state.n_steps)
    assert (state.hold, state.n_asked, state.count) == (Hold.STEPPING, 120, "")
    assert shown(state)[0].endswith("computing 120 tokens")


def test_steps_asked_for_meanwhile_are_owed_but_a_key_held_down_does_not_run_away() -> None:
    state = paused()
    state.go(1)
    for _ in range(40):
        state.owe(1)
    assert state.pause(Paused(1, 12, PREDICTION)) == 5
    state.go(5)
    assert state.pause(Paused(1, 17, PREDICTION)) == 0


def test_banned_tokens_are_named() -> None:
    state = paused()
    state.banned = {9: "\n"}
    lines = shown(state, width=98)
    assert lines[0].startswith("STEP token 12 · entropy 1.75 bits · end 0.4 % · banned 1: ␣ · u undoes the last ")
    assert lines[4].endswith("  banned")


def test_it_is_reported_at_the_cursor_how_a_ban_is_taken_back_where_there_is_room() -> None:
    state = paused()
    state.banned = {9: "\n"}
    state.move(2)
    assert shown(state)[4].endswith("  banned b takes it back")
    assert shown(state, width=60)[4].endswith("  banned")
    state.banned = {}
    assert shown(state)[4].endswith("  cut")
