"""Training a network that recognises faces. Needs torch (the extra `train`)."""
