"""Tests of slurm/code."""
