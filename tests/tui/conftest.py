"""The pilot of these tests waits for the app, not for the clock."""

import pytest

from app.tui.chat import input as chat_input
from tests.fakes.patient_pilot import patient_pilot

__all__ = ["patient_pilot"]


@pytest.fixture
def soon_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A letter is a command soon after it was pressed; for tests that press no second one."""
    monkeypatch.setattr(chat_input, "LONE_S", 0.02)
