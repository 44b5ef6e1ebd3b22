"""The bytes of one connection: sockets, TLS, cached files and pipes, but no HTTP."""
