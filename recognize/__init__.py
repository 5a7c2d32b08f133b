"""Saying who a face is, or that it is unknown."""
