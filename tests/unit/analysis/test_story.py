"""How a reply is made, in general and with the figures of one."""

import re

import msgspec
import pytest

from app.analysis.ending import ReplyContext
from app.analysis.meter import RunMeter
from app.analysis.story import story
from app.domain.generation import FinishReason, PromptSpans, Stop, Timings, Usage
from app.domain.sampling import SamplingParams
from app.domain.trace import Origin, PromptToken
from app.protocol.events import GenerationFinished, GenerationStarted, PrefillProgress, PromptRendered, TokensGenerated
from app.tui.common.commands import COMMANDS
from app.tui.common.views import VIEWS
from tests.fakes.engine_events import make_ready, make_token

MODEL = make_ready()
SETTING = ReplyContext(sampling=SamplingParams(temperature=0.7))
N_SENTENCES = re.compile(r"[.!?](?: |$)")


def reported(meter=None, model=MODEL, setting=SETTING):
    return {chapter.title: chapter.text for part in story(meter, model, setting) for chapter in part}


def reply(*, finished=True, n_cached=812):
    meter = RunMeter()
    meter.apply(GenerationStarted(1, 859, n_cached, PromptSpans(34, 778, 47), 7))
    control = PromptToken(1, "<|im_end|>", 10, is_control=True)
    words = [PromptToken(i, f" w{i}", 3) for i in range(858)]
    meter.apply(PromptRendered(1, (*words, control)))
    meter.apply(PrefillProgress(1, 859 - n_cached, 859 - n_cached, 47.0))
    tokens = [make_token(f" t{i}", i, ms=52.0 if not i else 11.0, rank=2) for i in range(128)]
    meter.apply(TokensGenerated(1, "", tuple(tokens)))
    if finished:
        end = Timings(prefill_ms=47.0, ttft_ms=52.0, decode_ms=1397.0)
        stop = Stop("eog", "<|im_end|>", 2)
        meter.apply(GenerationFinished(1, FinishReason.STOP, Usage(859, n_cached, 128), end, stop))
    return meter


def test_the_story_of_a_reply():
    assert reported(reply()) == {
        "1 Input processing": 'The conversation was cut into 859 tokens such as " w835", each a number of the model\'s '
        "vocabulary. 47 new ones were computed in 47.0 ms, 812 came from the cache; this is called prefill.",
        "2 Prediction": "One pass through the model gave each of the 49,152 tokens of the vocabulary a probability "
        "of coming next. For the first token it was fairly sure (2.0 bits of entropy) and gave "
        '" alt1" 50 % and " t0" 25 %.',
        "3 Sampling": "One of the likely tokens is drawn at random, at temperature 0.7. "
        'This reply began with " t0", number 2 of the candidates with 25 %.',
        "4 Feedback": '" t0" was appended to the prompt as token 860 of the window\'s 8192. '
        "The model reads what it has written: it has no other memory.",
        "5 Repeat": "This was done 128 times, 11.0 ms per token. "
        "Then the reply ended – stopped: end of turn <|im_end|>.",
        "KV-cache": "What the model computes for a token (its keys and values) is kept, so that no token is computed "
        "twice. Here 812 of 859 prompt tokens were in the cache, which saved about 812 ms.",
        "Speculative decoding": "Several drafted tokens are checked in one pass; only those that the model would have "
        "chosen are accepted. This reply had no drafts.",
        "Batching": "Many tokens go through the model in one pass: the prompt's took 1.0 ms each, the reply's, one by "
        "one, 11.0 ms. Up to 2 replies can share a pass.",
    }


@pytest.mark.parametrize(
    ("n_new", "said"), [(1, " in the cache."), (15, " in the cache."), (16, "saved about 2476 ms.")]
)
def test_what_the_cache_saved_is_reported_where_enough_new_tokens_show_what_one_costs(n_new, said):
    title = next(title for title in reported() if "cache" in title.lower())
    assert reported(reply(n_cached=859 - n_new))[title].endswith(said)


def test_while_it_runs():
    assert reported(reply(finished=False))["5 Repeat"] == (
        "This has been done 128 times so far, 11.0 ms per token. It continues until the reply ends."
    )


def test_greedy_is_no_lottery():
    greedy = ReplyContext(sampling=SamplingParams(temperature=0.0))
    assert reported(reply(), setting=greedy)["3 Sampling"].startswith("The temperature is 0")


def test_a_first_message_finds_nothing_in_the_cache():
    assert reported(reply(n_cached=0))["KV-cache"].endswith(
        "Here all 859 prompt tokens were new; the next message can reuse them."
    )


def test_guesses_and_what_they_brought():
    meter = reply()
    for _ in range(8):
        guess = make_token(" a", ms=15.0)
        meter.apply(TokensGenerated(1, "", (msgspec.structs.replace(guess, origin=Origin.DRAFT),)))
        meter.apply(TokensGenerated(1, "", (msgspec.structs.replace(guess, origin=Origin.BONUS, ms=0.0),)))
    assert reported(meter)["Speculative decoding"].endswith(
        "Here 8 of 8 drafted tokens were accepted, which saved 56.0 ms."
    )


@pytest.mark.parametrize("meter", [None, RunMeter(), reply(), reply(finished=False), reply(n_cached=0)])
def test_every_chapter_has_two_sentences(meter):
    texts = reported(meter)
    assert len(texts) == 8
    for title, text in texts.items():
        assert len(N_SENTENCES.findall(text)) == 2, title
        assert len(text) < 240, title


def test_without_a_reply_no_figure_is_reported():
    assert not any(char.isdigit() for text in reported().values() for char in text)


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.title)
def test_a_view_is_explained_in_two_sentences_and_its_command_exists(view):
    assert view.command in {command.id for command in COMMANDS}
    assert len(N_SENTENCES.findall(view.text)) == 2
