"""Telling others of events as they happen, without ever holding up the pipeline."""
