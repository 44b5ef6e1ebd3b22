"""The programs that are measured: ours, our peers', and the floors below both."""
