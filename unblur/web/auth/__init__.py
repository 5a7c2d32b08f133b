"""Accounts, sessions, middleware and their pages."""
