"""Noise suppression: PercepNet (arXiv 2008.04259)."""
