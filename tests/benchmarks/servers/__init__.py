"""The measured programs: trio_http, other servers, and bare Trio with and without h11."""
