"""Corpora, rooms and mixtures to train on, and the loop: nothing about one model."""
