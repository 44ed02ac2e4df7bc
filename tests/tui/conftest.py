"""The pilot of these tests waits for the app, not for the clock."""

from tests.fakes.patient_pilot import patient_pilot

__all__ = ["patient_pilot"]
