"""Scores: open-set rates, and event logs against ground truth."""
