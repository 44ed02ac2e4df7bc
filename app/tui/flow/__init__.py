"""The work behind the chat screen, in small objects that are handed what they need. None of them is a widget."""
