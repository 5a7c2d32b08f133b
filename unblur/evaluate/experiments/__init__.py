"""Experiments: restoration, identification, video."""
