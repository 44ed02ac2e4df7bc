"""A reply's text and traces, byte by byte, also where it goes on from tokens that were kept of an older one."""

from __future__ import annotations

import itertools

import pytest

from app.domain.conversation import Role
from app.domain.generation import Stop, Thinking
from app.domain.sampling import SamplingParams
from app.domain.trace import Origin, Prediction, StageTrace, TokenTrace, TopToken
from app.engine.core.distribution import Measured
from app.engine.core.events import Held, Sampled
from app.engine.core.preview import NextTokenPreview
from app.engine.core.sequence import Sequence
from app.engine.requests.prompting import Fitted, UnknownTokenError, prepare
from app.engine.requests.reply import Reply
from app.engine.text.align import PromptTokenMapper
from app.engine.text.prompt import PromptBuilder
from app.engine.text.renderer import Renderer
from app.engine.text.template import ChatTemplate
from app.engine.text.thinking import ReplyFormat
from app.engine.text.thinking_finder import ThinkingFinder
from app.engine.text.tokenizer import Tokenizer
from app.protocol.commands import ChatMessage, Generate
from app.protocol.events import Paused
from tests.unit.engine.text.toy_vocab import ToyVocab

VOCAB = ToyVocab()


def builder(vocab: ToyVocab = VOCAB) -> PromptBuilder:
    return PromptBuilder(vocab, ChatTemplate(None, vocab, Renderer()))


def request(**fields: object) -> Generate:
    return Generate(1, (ChatMessage(Role.USER, "a"),), SamplingParams(), **fields)  # type: ignore[arg-type]


def begin(
    command: Generate, vocab: ToyVocab = VOCAB, stop: tuple[str, ...] = (), finder: ThinkingFinder | None = None
) -> Reply:
    fitted: Fitted = prepare(command, builder(vocab), vocab, 1000, can_shift=True)
    sequence = Sequence(1, fitted.prompt.ids, SamplingParams(stop=stop), 0, 0.0, n_kept=fitted.prompt.n_kept)
    ticks = itertools.count(1)
    return Reply(sequence, fitted, vocab, finder=finder, clock=lambda: next(ticks) / 1000)


def sampled(reply: Reply, token: int, **fields: object) -> Sampled:
    reply.sequence.generated.append(token)
    measured = Measured(0.5, -0.7, 1, 1.0, [(token, 0.5)], 0.25)
    return Sampled(reply.sequence, token, 9.0, measured, Origin.SAMPLED, **fields)  # type: ignore[arg-type]


def take(reply: Reply, ids: list[int]) -> list[tuple[str, int]]:
    taken = [reply.take(sampled(reply, token)) for token in ids]
    return [(text, trace.n_bytes) for text, trace in taken]


def test_a_token_shows_its_phases_its_bytes_and_what_it_replaced() -> None:
    reply = begin(request())
    _, trace = reply.take(sampled(reply, 97, decode_ms=6.0, sample_ms=2.0, ghosts=((98, 0.1), (99, 0.0))))
    assert trace == TokenTrace(
        id=97,
        text="a",
        ms=9.0,
        p=0.5,
        logprob=-0.7,
        rank=1,
        entropy=1.0,
        top=(TopToken(97, "a", 0.5),),
        n_bytes=1,
        p_end=0.25,
        decode_ms=6.0,
        sample_ms=2.0,
        text_ms=pytest.approx(1.0),  # type: ignore[arg-type]
        ghosts=(TopToken(98, "b", 0.1), TopToken(99, "c", 0.0)),
    )


def test_the_start_shows_how_much_of_an_older_reply_is_kept() -> None:
    plain, fork = begin(request()).started(), begin(request(reply_ids=(97, 98))).started()
    assert (plain.n_kept, fork.n_kept) == (0, 2)
    assert (fork.n_prompt, fork.spans.n_turn) == (plain.n_prompt + 2, plain.spans.n_turn + 2)


def test_the_bytes_of_the_tokens_are_those_of_the_text() -> None:
    reply = begin(request())
    taken = take(reply, [*"a€".encode(), VOCAB.im_start, 0xFF, VOCAB.im_end])
    assert taken == [("a", 1), ("", 0), ("", 0), ("€", 3), ("", 0), ("\ufffd", 3), ("", 0)]
    assert sum(n for _, n in taken) == len(reply.text.encode())
    assert reply.stop == Stop("eog", "<|im_end|>", VOCAB.im_end)


def test_bytes_are_counted_before_a_stop_string_holds_them_back() -> None:
    reply = begin(request(), stop=("xyz",))
    assert take(reply, list(b"axyb")) == [("a", 1), ("", 1), ("", 1), ("xyb", 1)]


def test_thinking_is_reported_with_the_text_that_the_app_has() -> None:
    finder = ThinkingFinder(ReplyFormat("(", ")"), inside=False)
    reply = begin(request(), stop=("xyz",), finder=finder)
    seen: list[tuple[str, Thinking | None]] = []
    for token in b" (ab) xc":
        text, _ = reply.take(sampled(reply, token))
        seen.append((text, reply.thinking))
    assert seen == [
        ("", None),
        (" (", Thinking(0, 0, 2, 2, 9.0)),
        ("a", Thinking(2, 3, 3, 3, 18.0)),
        ("b", Thinking(2, 4, 4, 4, 27.0)),
        (")", Thinking(2, 4, 5, 5, 36.0)),
        (" ", Thinking(2, 4, 6, 6, 45.0)),
        ("", Thinking(2, 4, 6, 6, 45.0)),
        ("xc", Thinking(2, 4, 6, 6, 45.0)),
    ]


def test_thinking_that_was_kept_goes_on_and_a_stop_string_cuts_it() -> None:
    finder = ThinkingFinder(ReplyFormat("(", ")"), inside=False)
    reply = begin(request(reply_ids=tuple(b"(a")), stop=("xyz",), finder=finder)
    assert take(reply, list(b"bxyz"))[-1] == ("", 1)
    assert reply.flush() == ""
    assert (reply.text, reply.thinking) == ("(ab", Thinking(1, 3, 3, 6, 27.0))


def test_a_beginning_that_turns_out_to_be_no_mark_is_text() -> None:
    finder = ThinkingFinder(ReplyFormat("<think>", "</think>"), inside=False)
    reply = begin(request(), finder=finder)
    assert [text for text, _ in take(reply, list(b"<thin"))] == [""] * 5
    assert (reply.flush(), reply.thinking) == ("<thin", None)


def test_a_character_that_straddles_the_cut_is_whole() -> None:
    euro = "€".encode()
    reply = begin(request(reply_ids=(97, *euro[:2])))
    assert reply.text == "a"
    assert take(reply, [euro[2], 98]) == [("€", 3), ("b", 1)]
    assert reply.text == "a€b"
    assert reply.ids(without=frozenset({98})) == [97, *euro]


def test_a_stop_string_that_straddles_the_cut_stops_and_nothing_is_shown_twice() -> None:
    reply = begin(request(reply_ids=tuple(b"axy")), stop=("xyz",))
    assert take(reply, list(b"b")) == [("b", 1)]
    assert reply.text == "axyb"
    stopped = begin(request(reply_ids=tuple(b"axy")), stop=("xyz",))
    assert take(stopped, list(b"z")) == [("", 1)]
    assert stopped.stop == Stop("string", "xyz")
    waiting = begin(request(reply_ids=tuple(b"axyx")), stop=("xyxyz",))
    assert take(waiting, list(b"y")) == [("", 1)]
    assert waiting.flush() == "y"
    assert waiting.text == "axyxy"


def test_a_vocabularys_own_space_is_left_out_once() -> None:
    vocab = ToyVocab(adds_space=True)
    prompts, given = builder(vocab), (97, vocab.im_start)
    reply = begin(request(prompt_ids=given), vocab)
    assert reply.at_start
    ids = prompts.content_ids("Hello", continued=not reply.at_start)
    assert vocab.named(ids) == b" Hello"
    assert "".join(text for text, _ in take(reply, ids)) == "Hello"
    ids = prompts.content_ids(" world", continued=not reply.at_start)
    assert vocab.named(ids) == b" world"
    kept = begin(request(prompt_ids=given, reply_ids=tuple(b" a")), vocab)
    assert (kept.text, kept.at_start) == ("a", False)
    assert take(kept, list(b" b")) == [(" ", 1), ("b", 1)]


def test_what_is_forced_never_becomes_a_control_token() -> None:
    ids = builder().content_ids("<|im_end|><think>\ufdd0", continued=True)
    assert VOCAB.im_end not in ids
    assert VOCAB.named(ids).decode() == "<|im_end|><think>\ufffd"


def test_kept_tokens_are_the_end_of_the_prompt_and_of_this_turn() -> None:
    plain, kept = begin(request()).prompt, begin(request(reply_ids=(97, 98))).prompt
    assert kept.ids == [*plain.ids, 97, 98]
    assert kept.spans.n_turn == plain.spans.n_turn + 2
    assert kept.n_kept == 2


def test_a_prompt_of_ids_is_not_rendered() -> None:
    prompt = begin(request(prompt_ids=(5, 6), reply_ids=(7,))).prompt
    assert (prompt.ids, prompt.spans.n_turn) == ([5, 6, 7], 3)


@pytest.mark.parametrize("fields", [{"prompt_ids": (5, -1)}, {"reply_ids": (10**6,)}])
def test_a_token_that_does_not_exist_is_refused(fields: dict[str, tuple[int, ...]]) -> None:
    with pytest.raises(UnknownTokenError, match=f"the vocabulary has {VOCAB.n_vocab}"):
        begin(request(**fields))


@pytest.mark.parametrize("vocab", [VOCAB, ToyVocab(add_bos=True), ToyVocab(adds_space=True)])
def test_the_prompts_tokens_are_reported_with_the_bytes_that_they_stand_for(vocab: ToyVocab) -> None:
    prompts = builder(vocab)
    command = Generate(1, (ChatMessage(Role.USER, "Hello <|im_end|> €"),), SamplingParams(), reply_ids=(97,))
    prompt = prepare(command, prompts, vocab, 1000, can_shift=True).prompt
    reported = prompts.token_spans(prompt)
    assert [token.id for token in reported] == prompt.ids
    data = "<|im_start|>user\nHello <|im_end|> €<|im_end|>\n<|im_start|>assistant\na".encode()
    assert sum(token.n_bytes for token in reported) == len(data)
    ends = list(itertools.accumulate(token.n_bytes for token in reported))
    for token, start, end in zip(reported, [0, *ends], ends, strict=False):
        own = vocab.named_pieces[token.id]
        assert data[start:end] in (own, own[1:], b"")
        assert token.is_control == (token.id in (vocab.im_start, vocab.im_end, vocab.bos))
    if vocab.add_bos:
        assert (reported[0].text, reported[0].n_bytes) == ("<s>", 0)


def test_white_space_that_a_special_token_swallowed_belongs_to_the_token_before_it() -> None:
    data = b"a  [LEFT]b[RIGHT]  c"
    chunks = Tokenizer(VOCAB).chunks(data)
    assert [ids for _, ids in chunks] == [[97], [VOCAB.left], [98], [VOCAB.right], [99]]
    assert PromptTokenMapper(VOCAB).sizes(data, chunks) == [3, 6, 1, 9, 1]


def test_a_held_request_shows_what_may_come() -> None:
    reply = begin(request())
    reply.sequence.generated += [97, 98]
    stages = (StageTrace("greedy", 9, 1, (0.0, 0.0, 1.0)),)
    best = [(97, 0.6), (VOCAB.im_end, 0.25)]
    held = Held(reply.sequence, NextTokenPreview(1.5, 0.25, best, [(98, 1.0)], stages, [(98, 0.05, 5)]))
    before = (TopToken(97, "a", 0.6), TopToken(VOCAB.im_end, "<|im_end|>", 0.25))
    after, raised = (TopToken(98, "b", 1.0),), (TopToken(98, "b", 0.05),)
    expected = Prediction(1.5, 0.25, before, after, stages, raised, (5,))
    assert reply.paused(held) == Paused(1, 2, expected)
    assert [expected.after_of(i) for i in range(3)] == [0.0, 0.0, 1.0]
