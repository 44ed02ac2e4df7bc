"""Text on both ends of the loop: messages become token ids, token ids become text. Knows no native library."""
