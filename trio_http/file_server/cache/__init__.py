"""What is remembered of files, so that the next request for one costs less."""
