"""RFC 9112 on one connection: from bytes to a request, and from a response back to bytes."""
