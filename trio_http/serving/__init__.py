"""Many connections: listeners, the nurseries that run them, and how that ends."""
