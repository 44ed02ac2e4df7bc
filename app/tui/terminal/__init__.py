"""What touches the terminal itself: its state, its colours, what is pasted into it."""
