"""RFC 9110 as pure functions over values: no sockets, no file access, no tasks."""
