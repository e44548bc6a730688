"""Run directories as arrays and numbers."""
