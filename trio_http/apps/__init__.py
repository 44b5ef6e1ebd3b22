"""Things that answer: each an App, and none of them knows what server it runs in."""
