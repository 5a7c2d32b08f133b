"""Manage enrolled people, without HTTP."""
