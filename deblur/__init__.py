"""Measuring blur and undoing it."""
