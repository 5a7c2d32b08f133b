"""Obtain pinned files: download, verify, prepare, cache."""
