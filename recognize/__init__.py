"""Face recognition: embeddings, the gallery, and the identification of tracks."""
