"""Erase people and apply retention limits."""
