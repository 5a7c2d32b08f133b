"""Read and write files safely: images, durable appends, encryption, databases, limits of the process."""
