"""Apps, independent of the server that runs them."""
