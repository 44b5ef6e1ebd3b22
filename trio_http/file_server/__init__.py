"""The app that serves a directory: fetches, lists and, if allowed, changes its files."""
