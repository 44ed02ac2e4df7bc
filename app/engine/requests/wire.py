"""Converts the loop's events (ids and numbers) to protocol values with text."""

from __future__ import annotations

from collections.abc import Iterable

from app.domain.trace import Prediction, TokenTrace, TopToken
from app.engine.core.events import Sampled
from app.engine.core.preview import NextTokenPreview
from app.engine.text.tokenizer import Vocab, piece_text


def top_tokens(vocab: Vocab, candidates: Iterable[tuple[int, float]]) -> tuple[TopToken, ...]:
    """Candidates with their pieces."""
    return tuple(TopToken(token, piece_text(vocab, token), p) for token, p in candidates)


def token_trace(vocab: Vocab, sampled: Sampled, n_bytes: int, top: tuple[TopToken, ...], text_ms: float) -> TokenTrace:
    """Builds one token's trace; the arguments are the facts of the text side."""
    measured, report = sampled.measured, sampled.report
    return TokenTrace(
        sampled.token,
        piece_text(vocab, sampled.token),
        sampled.ms,
        measured.p,
        measured.logprob,
        measured.rank,
        measured.entropy,
        top,
        sampled.origin,
        report.stages if report else (),
        report.draw if report else None,
        n_bytes,
        measured.p_end,
        sampled.decode_ms,
        sampled.sample_ms,
        text_ms,
        top_tokens(vocab, sampled.ghosts) if sampled.ghosts else (),
        sampled.thinking,
        measured.log_total,
    )


def prediction(vocab: Vocab, preview: NextTokenPreview) -> Prediction:
    """Builds the prediction of the next token."""
    before, after = top_tokens(vocab, preview.before), top_tokens(vocab, preview.after)
    raised = top_tokens(vocab, ((token, p) for token, p, _ in preview.raised))
    ranks = tuple(rank for _, _, rank in preview.raised)
    return Prediction(preview.entropy, preview.p_end, before, after, preview.stages, raised, ranks)
