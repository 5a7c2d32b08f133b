"""Draw on frames, and show or record them."""
