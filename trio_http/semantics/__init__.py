"""RFC 9110 as plain functions over plain values: no sockets, no files read, no tasks."""
