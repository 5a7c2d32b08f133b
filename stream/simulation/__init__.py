"""Render synthetic clips with ground truth."""
