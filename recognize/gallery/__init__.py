"""Who is known: the people, their file, its edits, enrollment and calibration."""
