"""Training the deblurring network. The only room of this package that imports torch."""
