"""Open and decode media: files, HTTP bodies and packets become pictures."""
