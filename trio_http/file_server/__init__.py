"""The app that serves a directory: fetches, lists and, where allowed, changes its files."""
