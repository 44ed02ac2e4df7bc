"""What `tok ask` does, apart from its options: gather the prompt, run one request, report."""
