"""Tests of slurm/jobs."""
