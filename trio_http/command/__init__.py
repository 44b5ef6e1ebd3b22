"""The command line: arguments, loading of apps, signals and exit statuses."""
