"""Text at both ends of the loop: messages to token ids, and token ids to the text of a reply. No native library."""
