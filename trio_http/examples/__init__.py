"""Small programs to copy from: each runs as its docstring says, on public names only."""
