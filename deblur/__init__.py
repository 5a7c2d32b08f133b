"""Estimation of blur, and deblurring."""
