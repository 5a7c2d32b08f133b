"""Face embeddings: the interface and its implementations."""
