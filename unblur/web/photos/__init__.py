"""The page that restores an uploaded photo."""
