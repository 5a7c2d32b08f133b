"""Data of experiments: datasets, blur conditions, clips."""
