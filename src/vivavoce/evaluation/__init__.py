"""Metrics, statistics and the tables that the README shows."""
