"""The end of a reply in words. Pure."""

from __future__ import annotations

from app.domain.generation import FinishReason
from app.domain.text import one_line
from app.protocol.events import GenerationFinished


def finish_word(event: GenerationFinished) -> str:
    """Returns why a reply ended, as short as can be."""
    match event.finish_reason:
        case FinishReason.STOP:
            return "stop string" if event.stop is not None and event.stop.kind == "string" else "end of turn"
        case FinishReason.LENGTH:
            return "length limit"
        case FinishReason.CONTEXT:
            return "context full"
        case FinishReason.ABORT:
            return "stopped"
        case FinishReason.ERROR:
            return "failed"


def finish_line(event: GenerationFinished) -> str:
    """Returns why a reply ended, in words and safe to show."""
    match event.finish_reason:
        case FinishReason.STOP if event.stop is not None and event.stop.kind == "string":
            line = f'stopped: stop string "{event.stop.text}"'
        case FinishReason.STOP:
            line = f"stopped: end of turn {event.stop.text if event.stop else ''}"
        case FinishReason.LENGTH:
            line = f"length limit ({event.usage.n_generated} tokens)"
        case FinishReason.CONTEXT:
            line = "context full"
        case FinishReason.ABORT:
            line = "stopped by you"
        case FinishReason.ERROR:
            line = f"failed: {event.error or 'unknown error'}"
    return one_line(line)
