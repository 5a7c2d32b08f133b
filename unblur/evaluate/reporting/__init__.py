"""Tables, plots and records of experiments."""
