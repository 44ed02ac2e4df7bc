"""The rules of a live chat: a turn, a branch, what is kept when. Knows no widget, no SQL and no process."""
