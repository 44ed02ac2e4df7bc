"""What can be watched of a reply beyond its speed: figures folded from its tokens, and how they are written."""
