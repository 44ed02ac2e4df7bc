"""What a request is made of: the model service, prompts, replies, queries and scores."""
