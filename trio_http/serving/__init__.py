"""Many connections: listeners, the nurseries that run the connections, and shutdown."""
