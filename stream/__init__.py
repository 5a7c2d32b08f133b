"""The spine: what flows through unblur and what moves it. Imports no other room."""
