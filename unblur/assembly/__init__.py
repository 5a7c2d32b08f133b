"""Build a run from a configuration, and run it."""
