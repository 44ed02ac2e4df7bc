"""What `tok ask` does: gather the prompt, run one request, report."""
