"""Everything computed from events and traces, without a screen."""
