"""Training of a face recognition network. Needs torch (the extra `train`)."""
