"""Small programs to copy from, on public names only; their docstrings say how to run them."""
