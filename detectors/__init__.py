"""Finding faces and cutting them out, aligned."""
