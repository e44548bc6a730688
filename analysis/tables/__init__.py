"""Comparisons, statistics and tables."""
