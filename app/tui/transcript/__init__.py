"""What the transcript shows and where: messages, their heights, the text under a selection."""
