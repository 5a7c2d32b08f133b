"""Training of the deblurring network. The only package here that imports torch."""
