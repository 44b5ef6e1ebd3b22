"""How a directory is shown: as a page for people, as JSON for programs."""
