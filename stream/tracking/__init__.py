"""Detect, track and select face crops of one camera."""
