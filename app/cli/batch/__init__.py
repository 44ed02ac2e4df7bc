"""What `tok batch` does: read lines, keep requests in flight, write results in order."""
