"""What a model makes of a given text: its tokens, how likely each is, what would come next."""
