"""One page and its endpoints per file."""
