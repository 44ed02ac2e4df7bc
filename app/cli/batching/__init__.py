"""What `tok batch` does, apart from its options: read lines, keep requests in flight, write results in order."""
