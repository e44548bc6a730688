"""Tests of what only a real Slurm can show."""
