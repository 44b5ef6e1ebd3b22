"""The bytes of one connection: sockets, TLS, files in memory, pipes; no HTTP."""
