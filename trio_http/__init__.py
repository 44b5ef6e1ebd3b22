"""A structured-concurrency HTTP/1.1 server on Trio and h11."""

__version__ = "0.1.0"
