"""Step mode: a reply held before its next token."""
