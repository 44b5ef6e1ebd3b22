"""RFC 9112 on one connection: reads requests from bytes and writes responses to bytes."""
