"""The command line: arguments, apps by name, signals and exit statuses."""
