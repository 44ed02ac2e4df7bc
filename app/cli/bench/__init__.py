"""What `tok bench` does: suites of rows, each measured through the same engine that chats."""
