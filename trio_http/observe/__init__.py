"""Observation of a running server: the access log and its output."""
