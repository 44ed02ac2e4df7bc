"""What drafting did to a reply, counted from its tokens and held against its plain steps."""

import msgspec
import pytest

from app.analysis.drafting import ENOUGH_DRAFTS, ENOUGH_PLAIN, Drafting
from app.domain.generation import DraftCounts
from app.domain.trace import Origin, TopToken
from tests.fakes.engine_events import make_token

GHOSTS = (TopToken(7, " no", 0.2), TopToken(8, " never", 0.0))


def token(ms=10.0, origin=Origin.SAMPLED, ghosts=()):
    return msgspec.structs.replace(make_token(" a", ms=ms), origin=origin, ghosts=ghosts)


def plain(ms=10.0):
    return [token(ms)]


def whole_draft(ms=12.0):
    """Two drafted tokens and a bonus for the price of `ms`."""
    return [token(ms, Origin.DRAFT), token(0.0, Origin.DRAFT), token(0.0, Origin.BONUS)]


def broken_draft(ms=12.0):
    """One of three drafted tokens, and the one that came in place of the second."""
    return [token(ms, Origin.DRAFT), token(0.0, ghosts=GHOSTS)]


def fold(*steps, timed=True):
    drafting = Drafting()
    for step in steps:
        for each in step:
            drafting.token(each, timed)
    return drafting


def test_a_plain_reply_drafts_nothing():
    drafting = fold(*[plain()] * 20)
    assert (drafting.counts, drafting.asked, drafting.mean_accepted, drafting.gain) == (DraftCounts(), None, None, None)
    assert (drafting.n_plain, drafting.plain_ms) == (20, 200.0)


def test_counts_by_place():
    drafting = fold(whole_draft(), broken_draft(), plain(), [token(ghosts=GHOSTS[:1])])
    assert drafting.counts == DraftCounts(3, 6, 3, (3, 2, 0), (2, 1, 0))
    assert (drafting.n_bonus, drafting.n_rejected, drafting.mean_accepted) == (1, 3, 1.0)
    assert drafting.acceptance == (2 / 3, 0.5, 0.0)


def test_the_engines_own_counts_go_last():
    drafting = fold(whole_draft())
    drafting.finished(DraftCounts(2, 5, 3, (2, 1), (2, 1)))
    assert (drafting.asked, drafting.n_rejected, drafting.mean_accepted) == (True, 2, 1.5)
    drafting = fold(plain())
    drafting.finished(None)
    assert drafting.asked is False


def test_a_gain_is_time_saved_against_plain_steps():
    gain = fold(*[plain(10.0)] * 8, *[whole_draft(12.0)] * 8).gain
    assert (gain.plain_ms, gain.drafted_ms, gain.saved_ms) == (10.0, 4.0, 8 * 18.0)
    assert gain.ratio == pytest.approx(320 / 176)


def test_a_loss_is_a_loss():
    gain = fold(*[plain(10.0)] * 8, *[broken_draft(25.0)] * 8).gain
    assert (gain.saved_ms, gain.ratio) == (-40.0, 240 / 280)


@pytest.mark.parametrize(("n_plain", "n_drafts"), [(ENOUGH_PLAIN - 1, 50), (50, ENOUGH_DRAFTS - 1)])
def test_too_few_steps_of_either_kind_show_nothing(n_plain, n_drafts):
    assert fold(*[plain()] * n_plain, *[whole_draft()] * n_drafts).gain is None


def test_the_wait_for_the_first_token_and_forced_tokens_are_no_plain_steps():
    drafting = fold([token(500.0)], timed=False)
    drafting.token(token(1.0, Origin.FORCED), True)
    assert (drafting.n_plain, drafting.plain_ms) == (0, 0.0)
    drafting.token(token(10.0), True)
    assert (drafting.n_plain, drafting.plain_ms) == (1, 10.0)
