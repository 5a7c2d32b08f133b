"""The gallery of enrolled people: its file, edits, enrollment and calibration."""
