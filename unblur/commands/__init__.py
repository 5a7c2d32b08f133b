"""Commands that come in groups, and what all commands have in common."""
