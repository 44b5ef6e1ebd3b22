"""The programs that are measured: trio_http, other servers, and bare Trio with and without h11."""
