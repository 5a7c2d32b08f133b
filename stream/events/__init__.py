"""Write, read, filter, page and erase events."""
