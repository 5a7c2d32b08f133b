"""Restore and name the faces of photos."""
